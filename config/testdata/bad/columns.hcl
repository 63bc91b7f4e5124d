outbox {
  max_payload = "2GiB" # want "a size from 1KiB to 1GiB"

  columns { # want "Column used twice.*event_type and payload are column \"body\""
    event_type = "body"
    payload    = "body"
    headers    = "-"
    created_at = "-"
  }
}
