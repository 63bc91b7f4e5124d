GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(shell go env GOPATH)/bin/golangci-lint-$(GOLANGCI_VERSION)
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/walpost
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X github.com/walpost/walpost/internal/cli.version=$(VERSION)" -o bin/walpost ./cmd/walpost

.PHONY: test
test: ## run all tests (needs Go and a Postgres installation, nothing else)
	go test ./...

.PHONY: race
race: ## run all tests under the race detector
	go test -race ./...

.PHONY: matrix
matrix: ## run what touches Postgres, and the fault suite, on Postgres 15, 17 and 18 (17 and 18 from npm)
	go test ./cdc ./internal/ledger ./daemon ./internal/faults
	for v in 17 18; do WALPOST_PG_BIN=$$(.ci/postgres $$v) go test ./cdc ./internal/ledger ./daemon ./internal/faults || exit 1; done

.PHONY: faults
faults: ## play faults at random for FAULTS_FOR (default 1h) and check the invariants; FAULTS_SEED repeats a schedule
	FAULTS_FOR=$${FAULTS_FOR:-1h} go test -race -timeout 0 -v -run 'TestFaults|TestSessions' ./internal/faults

.PHONY: replicas
replicas: ## kill, freeze and restart two walposts under load, and print how long deliveries paused (REPLICAS_KILLS, default 25)
	REPLICAS_KILLS=$${REPLICAS_KILLS:-25} go test -timeout 0 -v -run TestReplicas ./daemon

.PHONY: bounds
bounds: ## measure memory, retained WAL and the host's shutdown with the numbers of docs/bounds.md (half an hour)
	BOUNDS=full go test -timeout 0 -v -p 1 -parallel 1 ./internal/bounds

.PHONY: growth
growth: ## measure and draw what must not grow: rules, webhooks, parked deliveries, outbox rows (docs/growth)
	go run ./bench/growth

.PHONY: demo
demo: ## see the main job done on a throw-away Postgres
	go run ./cmd/walpost demo

.PHONY: bench
bench: ## drain, latency, memory and WAL figures, beside a plain HTTP client
	go run ./bench

.PHONY: fairness
fairness: ## what dead, slow and flooded endpoints, and retries that come due at once, do to another's latency
	go run ./bench fairness

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (default 20s)
	@go list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r pkg dir; do \
		grep -hoE '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go 2>/dev/null | awk '{print $$2}' | while read -r f; do \
			echo "== $$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzzminimizetime 10x -fuzztime $${FUZZTIME:-20s} $$pkg || exit 1; \
		done || exit 1; \
	done

.PHONY: lint
lint: $(GOLANGCI) ## golangci-lint (with gofumpt, vet, staticcheck)
	$(GOLANGCI) run ./...

.PHONY: fmt
fmt: $(GOLANGCI) ## format with gofumpt
	$(GOLANGCI) fmt ./...

.PHONY: check
check: lint race tidy ## all that must pass before a commit

.PHONY: tidy
tidy: ## go.mod and go.sum are what the code needs
	go mod tidy -diff

.PHONY: vuln
vuln: ## known vulnerabilities (needs the internet)
	go run golang.org/x/vuln/cmd/govulncheck@latest ./...

$(GOLANGCI):
	GOBIN=$(dir $(GOLANGCI)) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(dir $(GOLANGCI))golangci-lint $(GOLANGCI)
