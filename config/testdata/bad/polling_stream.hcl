outbox {
  mode          = "pollling" # want "Invalid \"mode\".*\"stream\" or \"polling\".*Did you mean \"polling\"\?"
  poll_interval = "1s"       # want "\"poll_interval\" without polling.*told of every commit"
}
