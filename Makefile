# Every target does its own set-up: a fresh clone needs nothing before it.

.PHONY: help up page test-web demo-sale rolling-restart test model check clients bench bench-scale fuzz chaos \
	chaos-smoke chaos-mutants docs lint-deploy supply-chain sbom clean

export RUSTUP_TOOLCHAIN ?= $(shell .ci/toolchain)

help:
	@echo 'make up     start everything: stores, schema, a demo event, the server'
	@echo 'make demo-sale  the whole way of a sale on one machine, case by case: CASES="pay forged"'
	@echo 'make rolling-restart  two servers under load, each restarted ROUNDS=5 times: who fails'
	@echo 'make page   the page for browsers, which the program has when it is built next (needs node)'
	@echo 'make test-web  the page in a real browser, against servers of its own'
	@echo 'make test   all tests, on stores of their own'
	@echo 'make model  the protocol between the stores, every order of its steps: minutes'
	@echo 'make check  format, lints, the contract, migrations, documentation'
	@echo 'make clients  the clients in examples/, tried against servers of their own: two minutes'
	@echo 'make bench  each path beside what bounds it and what is usual: 20 minutes'
	@echo 'make fuzz   any input to what reads requests, ids, tokens, callbacks: SECONDS=60 each'
	@echo 'make bench-scale  what work costs as there is more of it: 8 minutes'
	@echo 'make chaos break everything while clients fight for seats, and check every promise:'
	@echo '           MINUTES=45 SEED=n REDIS=single|sentinel|cluster|all MUTANT=name'
	@echo 'make lint-deploy  what deploy/ and the Dockerfile say, by their linters; part of check'
	@echo 'make supply-chain licences, duplicates and advisories of dependencies; ADVISORY_DB=clone'
	@echo 'make sbom   what is compiled in, as CycloneDX'
	@echo 'make clean  forget the data of make up, and all that was built'

up:
	@.ci/stores
	@if ! command -v npm >/dev/null 2>&1; then echo 'without the page for browsers: no npm'; \
		elif ! .ci/page; then echo 'without the page for browsers, or with an older one'; fi
	cargo build --release --locked --bin holdfast
	@exec target/release/holdfast dev

page:
	.ci/page

test-web:
	@.ci/stores
	.ci/test-web

# `docs/PAYMENTS.md` lists the cases.
demo-sale:
	@.ci/stores
	cargo build --locked --bin holdfast --example vnpay_simulator --example demo_sale
	@exec target/debug/examples/demo_sale $(addprefix --only ,$(CASES))

# `docs/RUNBOOK.md` says what it shows.
ROUNDS ?= 5
rolling-restart:
	@.ci/stores
	HOLDFAST_ROLLING_ROUNDS=$(ROUNDS) \
		cargo test --locked --test it rolling_restart:: -- --nocapture

test:
	@.ci/stores
	cargo test --locked

model:
	cargo test --release --locked --test protocol -- --ignored --nocapture

check:
	.ci/check

# `docs/CLIENTS.md` says what a client has to do.
clients:
	@.ci/stores
	.ci/clients

# `docs/BENCHMARKS.md` says what is compared; a whole run writes its tables there.
bench:
	@.ci/stores
	cargo bench --locked --bench speed

bench-scale:
	@.ci/stores
	cargo bench --locked --bench speed -- --only scale,capacity

SECONDS ?= 60

fuzz:
	.ci/fuzz $(SECONDS)

# `docs/CHAOS.md` says what it does. A mutant lacks one guard, and is caught.
MINUTES ?= 45
REDIS ?= all
MUTANT ?=
comma := ,
CHAOS = cargo test --locked --features failpoints$(addprefix $(comma)mutant-,$(MUTANT)) \
	--test chaos -- $(addprefix --seed ,$(SEED)) $(addprefix --mutant ,$(MUTANT))

chaos:
	@.ci/stores chaos
	$(CHAOS) --minutes $(MINUTES) --redis $(REDIS)

# What .ci/run has time for.
chaos-smoke:
	@.ci/stores chaos
	$(CHAOS) --minutes 1.5 --redis single

chaos-mutants:
	@sed -n 's/^mutant-\([a-z-]*\) *=.*/\1/p' Cargo.toml

docs:
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps

lint-deploy:
	.ci/lint-deploy

# `docs/DEPLOY.md`; the first time builds the tools, some minutes.
supply-chain:
	ADVISORY_DB=$(ADVISORY_DB) .ci/supply-chain

sbom:
	.ci/supply-chain sbom

clean:
	@# Postgres' data may lie where its user can get; then this is a link.
	@[ ! -L .holdfast/postgres ] || rm -rf "$$(readlink .holdfast/postgres)"
	rm -rf .holdfast target examples/node_modules examples/*/dist
	rm -rf $(addprefix src/http/page/,node_modules dist src/gen)
