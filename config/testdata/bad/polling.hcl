outbox {
  mode          = "polling"
  publication   = "walpost" # want "\"publication\" with polling.*no publication"
  messages      = "walpost" # want "\"messages\" with polling.*in the WAL only"
  poll_interval = "1ms"     # want "Invalid \"poll_interval\""
}
