webhook "crm" {
  topics          = ["*"]
  url             = "https://crm.example/"
  concurrency     = 3
  concurrency_max = 10 # want "\"concurrency_max\" beside a number.*concurrency = 10 alone"
}
