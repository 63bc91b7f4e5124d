# alone: what can't be read may hold what seems to be missing, so nothing is said of that
database {
  url = = # want "Invalid expression"
}

topic "invoice.paid" {}
