# Numbers keep every digit
#
# Ids beyond 2^53 and decimals stay as they are in the payload, also after
# arithmetic on others. tostring() makes a text for receivers that would round.

database {
  url = env("DATABASE_URL")
}

topic "payment.settled" {
  description = "A payment is settled"
}

webhook "ledger" {
  topics = ["payment.settled"]
  url    = "https://ledger.example.com/entries"
  body = {
    id     = event.data.payment.id
    id_str = tostring(event.data.payment.id)
    amount = event.data.payment.amount
    next   = event.data.payment.id + 1
  }
}

test "twenty digits" {
  event {
    aggregate_type = "payment"
    type           = "settled"
    payload        = { payment = { id = 12345678901234567890, amount = 0.1000000000000000055 } }
  }
  expect "ledger" {
    body = {
      id     = 12345678901234567890
      id_str = "12345678901234567890"
      amount = 0.1000000000000000055
      next   = 12345678901234567891
    }
  }
}
