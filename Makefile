# The few commands of daily work. CI runs .ci/run, which needs none of this.
.PHONY: build test generate lint demo bench

build: ## bin/postern
	go build -o bin/postern ./cmd/postern

test:
	go test ./...

generate: ## the eBPF object; needs clang, llvm-strip and libbpf's headers
	go generate ./...

lint:
	test -z "$$(gofmt -l .)"
	go mod tidy -diff
	go vet ./...
	go tool staticcheck ./...

demo: build
	bin/postern demo

bench: build
	bin/postern bench path
