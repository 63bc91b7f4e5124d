# Ratings and notes of conversations start a workflow in n8n.

database {
  url = env("DATABASE_URL")
}

webhook "n8n" {
  name   = "n8n"
  topics = ["conversation.rating_left", "conversation.note_added"]

  # The production URL of the Webhook node, such as https://n8n.example.com/webhook/gist
  url = env("N8N_WEBHOOK_URL")

  auth "basic" {
    username = env("N8N_USER")
    password = env("N8N_PASSWORD")
  }

  # 404 is a workflow that isn't active: it may be again at the next attempt.
  success   = [200]
  permanent = [403]
}

test "a rating" {
  event {
    id             = "0192f5c0-0000-7000-8000-000000000001"
    aggregate_type = "conversation"
    aggregate_id   = "42"
    type           = "conversation.rating_left"
    created_at     = "2023-11-14T22:13:20Z"
    payload        = { conversation = { id = 42 }, rating = { rating = 5, remark = "Thanks!" } }
  }
  response {
    status = 200
    json   = { message = "Workflow was started" }
  }
  expect "n8n" {
    method = "POST"
    body = {
      id           = "0192f5c0-0000-7000-8000-000000000001", topic = "conversation.rating_left", created_at = 1700000000
      conversation = { id = 42 }, rating = { rating = 5, remark = "Thanks!" }
    }
    verdict = "delivered"
  }
}

test "a workflow that isn't active" {
  event {
    aggregate_type = "conversation"
    type           = "conversation.rating_left"
    payload        = { conversation = { id = 42 }, rating = { rating = 1 } }
  }
  response {
    status = 404
    json   = { code = 404, message = "The requested webhook is not registered." }
  }
  expect "n8n" {
    verdict = "retry"
  }
}
