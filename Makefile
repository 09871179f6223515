# SPDX-License-Identifier: MIT
# The door: one command per job, each sets up what it needs. The building is meson's.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PREFIX ?= /usr/local
DESTDIR ?=
SUITE ?= igt-tier1
SEEDS ?= 100
SECONDS ?= 60

comma := ,
# configure NAME, COMPILER, OPTIONS: once per build directory.
configure = @test -e build/$(1)/build.ninja || CC=$(2) meson setup build/$(1) $(3)

# Sanitizers and preloading do not mix; tidiness does not depend on them.
IN_PROCESS = --no-suite tidy --no-suite preload

# Absolute, as meson wants them. The root of a machine is one whose loader has a cache of libraries.
prefix = $(abspath $(PREFIX))
root = $(if $(DESTDIR),$(abspath $(DESTDIR)))
ldconfig = test -n '$(root)' || test "$$(id -u)" -ne 0 || ldconfig

help: ## this table
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | \
		awk -F '|' '{ printf "%-22s %s\n", $$1, $$2 }'
	@echo
	@echo 'make conformance SUITE=igt-tier1|igt TEST="xe_vm xe_exec_basic" [SUBTEST=glob]'
	@echo '                 [REPEAT=N] [GPU=bmg] [VRAM=8G] [VISIBLE=256M] [TIMEOUT=s]'
	@echo '                 [SCHEDULE=normal|eager|lazy|adversarial] [USERFAULTFD=0]'
	@echo 'make conformance SUITE=i915 [TEST="*bind-posix"] [SUBTEST=glob] [REPEAT=N]'
	@echo 'make conformance SUITE=anv [TEST=vulkan-sparse] [GPU=] [SCHEDULE=] [REPEAT=N]'
	@echo 'make install     [PREFIX=$(PREFIX)] [DESTDIR=]'

build: ## build everything in build/gcc
	@scripts/setup build
	$(call configure,gcc,gcc)
	ninja -C build/gcc

run: ## run a real Vulkan driver on the device; GPU= and SCHEDULE= as below
	@scripts/run-vulkan $(if $(GPU),--gpu '$(GPU)') $(if $(VRAM),--vram '$(VRAM)') \
		$(if $(SCHEDULE),--schedule '$(SCHEDULE)')

test: build ## all tests
	@scripts/setup test
	@scripts/run-tests build/gcc

test-asan: ## in-process tests with AddressSanitizer and UBSan
	@scripts/setup sanitize
	$(call configure,asan,gcc,-Db_sanitize=address$(comma)undefined)
	ninja -C build/asan
	@scripts/run-tests build/asan $(IN_PROCESS) -t 4

test-tsan: ## in-process tests with ThreadSanitizer
	@scripts/setup sanitize
	$(call configure,tsan,clang,-Db_sanitize=thread -Db_lundef=false)
	ninja -C build/tsan
	@scripts/run-tests build/tsan $(IN_PROCESS) -t 8

test-fresh: ## make test in a bare Debian root (as root)
	@scripts/setup fresh
	@scripts/test-fresh

test-recipes: ## the Containerfile and the CI job, in bare Debian roots (as root)
	@scripts/setup fresh
	@scripts/check-recipes

test-determinism: build ## one seed, one event hash, on every compiler and sanitizer
	@scripts/setup sanitize
	@scripts/determinism

test-full: test test-asan test-tsan test-determinism ## all of these, and the large ones
	@scripts/run-tests build/gcc --suite full
	@$(MAKE) sim SEEDS=500
	@$(MAKE) soak SEEDS=2000

conformance: build ## programs of others, unmodified; see below
	@if [ '$(SUITE)' != i915 ]; then scripts/setup igt; fi
	@if [ '$(SUITE)' = anv ]; then scripts/run-vulkan --build-only; fi
	@$(if $(USERFAULTFD),VMBIND_USERFAULTFD='$(USERFAULTFD)') \
		scripts/conformance --suite '$(SUITE)' --test '$(TEST)' --subtest '$(SUBTEST)' \
		$(if $(GPU),--gpu '$(GPU)') $(if $(VRAM),--vram '$(VRAM)') \
		$(if $(VISIBLE),--visible '$(VISIBLE)') $(if $(SCHEDULE),--schedule '$(SCHEDULE)') \
		$(if $(REPEAT),--repeat '$(REPEAT)') $(if $(TIMEOUT),--timeout '$(TIMEOUT)')

fault-walk: build ## every error path of ANV: each allocation, bind and wait fails in turn
	@scripts/setup fault-walk
	@scripts/run-vulkan --build-only
	@scripts/fetch-anv
	@scripts/fault-walk $(if $(GPU),--gpu '$(GPU)')

sim: build ## simulated runs of every scenario, SEEDS=N
	@scripts/sim $(SEEDS)

soak: build ## evictions, hangs, resets under load: SECONDS=N with real threads, SEEDS=N simulated
	@scripts/soak $(SECONDS) $(SEEDS)

bench: ## measure, beside what limits it; FILTER=word,word chooses
	@scripts/setup bench
	$(call configure,bench,gcc,--buildtype=release -Ddebug=true)
	@grep -q bench-index build/bench/build.ninja || meson setup --reconfigure build/bench
	@grep -q -e ' -g ' build/bench/build.ninja || meson configure build/bench -Ddebug=true
	@scripts/bench $(if $(FILTER),--filter '$(FILTER)')

install: ## install with PREFIX and DESTDIR
	@scripts/setup install
	$(call configure,release,gcc,--buildtype=release -Db_ndebug=true -Dtests=false)
	meson configure build/release -Dtests=false -Dprefix='$(prefix)'
	ninja -C build/release
	@test ! -e '$(root)$(prefix)/share/vmbind/installed' || \
		scripts/installed remove '$(root)' '$(prefix)'
	DESTDIR='$(root)' meson install -C build/release --no-rebuild --quiet
	@scripts/installed record '$(root)' '$(prefix)' build/release/meson-logs/install-log.txt
	@$(ldconfig)
	@echo 'installed in $(root)$(prefix)'

uninstall: ## remove what an install with this PREFIX and DESTDIR put there
	@scripts/installed remove '$(root)' '$(prefix)'
	@$(ldconfig)
	@echo 'nothing of it is left in $(root)$(prefix)'

clean: ## remove all output but the downloads in build/cache
	@if [ -d build ]; then \
		find build -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} +; \
	fi

distclean: ## remove all output
	rm -rf build

.PHONY: help build run test test-asan test-tsan test-fresh test-recipes test-determinism \
	conformance fault-walk sim soak bench install uninstall clean distclean
