# SPDX-License-Identifier: MIT
# A thin front for CMake: `make help` lists the targets.
#
# Each target first installs the distribution packages that it needs and that are missing (see
# tools/install-deps.sh); DEQ_NO_INSTALL=1 refuses that.

PRESET ?= release
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc)
# A warning of a compiler that we have not met must not stop a user; it stops us.
WERROR ?= $(if $(CI),ON,OFF)
BUILD  := build/$(PRESET)

CONFIGURE := cmake --preset $(PRESET) --log-level=WARNING -DDEQ_WERROR=$(WERROR) >/dev/null
COMPILE   := cmake --build $(BUILD) --parallel $(JOBS)
DEPS      := tools/install-deps.sh

# A build folder that is new holds the library and the program only; the targets that need more add
# it, and it stays.
FIRST := test -f $(BUILD)/build.ninja || \
    $(CONFIGURE) -DDEQ_BUILD_TESTS=OFF -DDEQ_BUILD_EXAMPLES=OFF -DDEQ_BUILD_BENCH=OFF

.DEFAULT_GOAL := all
.PHONY: all test demo demo-maze examples bench install docs format clean help

all: ## build the libraries and the program
	@$(DEPS) build
	@$(FIRST)
	@$(COMPILE)

test: ## build and run the tests; CTEST_ARGS="-R name" picks some
	@$(DEPS) test
	@$(CONFIGURE) -DDEQ_BUILD_TESTS=ON -DDEQ_BUILD_EXAMPLES=ON
	@$(COMPILE)
	@ctest --preset $(PRESET) --parallel $(JOBS) $(CTEST_ARGS)

demo: ## build, train on prefix sums, solve longer ones; a few minutes
	@$(DEPS) build
	@$(FIRST)
	@$(COMPILE) --target deq_program
	@tools/demo.sh $(BUILD)/cli/deq prefix-sums

demo-maze: ## build, train on small mazes, solve and draw larger ones
	@$(DEPS) build
	@$(FIRST)
	@$(COMPILE) --target deq_program
	@tools/demo.sh $(BUILD)/cli/deq mazes

examples: ## build and run the examples, simplest first
	@$(DEPS) build
	@$(FIRST)
	@$(CONFIGURE) -DDEQ_BUILD_EXAMPLES=ON
	@$(COMPILE) --target demo

bench: ## build and run the benchmarks; BENCH_ARGS go to deq-bench
	@$(DEPS) bench
	@$(FIRST)
	@$(CONFIGURE) -DDEQ_BUILD_BENCH=ON
	@$(COMPILE) --target deq-bench
	@$(BUILD)/bench/deq-bench $(BENCH_ARGS)

install: all ## install under PREFIX (default /usr/local), below DESTDIR if set
	@cmake --install $(BUILD) --prefix $(PREFIX)

docs: ## build the reference of the public headers, build/docs/html/index.html
	@$(DEPS) docs
	@tools/build_docs.sh

format: ## format the sources in place
	@$(DEPS) format
	@tools/format.sh

clean: ## remove everything that was built
	rm -rf build

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  PRESET=dev|release|asan-ubsan|tsan|coverage chooses the build in build/<preset> (default release)"
