# SPDX-License-Identifier: MIT
# hearth - one Makefile: probe, flags, lists, rules, targets. `make help` lists the targets.

# --- the user's ------------------------------------------------------------------------------
CC       ?= cc
CXX      ?= c++
CFLAGS   ?= -O2 -g
CXXFLAGS ?= -O2 -g
LDFLAGS  ?=
PREFIX   ?= /usr/local
DESTDIR  ?=
V        ?= 0
SAN      ?=
CUDA     ?= auto

comma := ,
BUILD := build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
Q     := $(if $(filter 1,$(V)),,@)
say    = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2))

VERSION := 0.1.0
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif

# --- probe -----------------------------------------------------------------------------------
PACKAGES := liburing libprotobuf-c jansson numa libsystemd libmicrohttpd
ifeq ($(filter help clean tidy model-check demo install-packages,$(MAKECMDGOALS)),)
$(shell mkdir -p $(BUILD))
$(shell tools/dev/probe.sh '$(CC)' '$(CUDA)' '$(PACKAGES)' $(BUILD)/config.mk $(findstring peers,$(MAKECMDGOALS)) >&2)
include $(BUILD)/config.mk
endif
# --- flags -----------------------------------------------------------------------------------
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Werror
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
# gcc has no fences under the thread sanitizer and says so at each; the two sides map apart anyway.
SANFLAGS += $(if $(filter thread,$(SAN)),$(if $(findstring clang,$(shell $(CC) --version)),,-Wno-tsan))
ALL_CPPFLAGS := -ffile-prefix-map=$(CURDIR)=. -D_GNU_SOURCE -DHEARTH_VERSION='"$(VERSION)"' -I. -Idaemon -I$(BUILD)/gen -MMD -MP
ALL_CFLAGS   := -std=gnu11 $(WARNINGS) -Wstrict-prototypes -Wmissing-prototypes -fPIC -pthread \
                $(PACKAGE_CFLAGS) $(SANFLAGS) $(CFLAGS)
ALL_CXXFLAGS := -std=c++17 $(WARNINGS) -Wpedantic -fPIC -pthread $(SANFLAGS) $(CXXFLAGS)
ALL_LDFLAGS  := -pthread -Wl,-z,now $(SANFLAGS) $(LDFLAGS) # no request looks a function up
LIBS         := $(PACKAGE_LIBS) -lm
# One order of operations for every vector width: contraction is written out, never left to the
# compiler, so that a row's bits depend on its numerics class alone (kernels/types.h).
KERNEL_CFLAGS     := -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math
CPU_FLAGS_baseline :=
CPU_FLAGS_v3       := -march=x86-64-v3
CPU_FLAGS_v4       := -march=x86-64-v4 -mprefer-vector-width=512
CPU_FLAGS_v4_vnni  := $(CPU_FLAGS_v4) -mavx512vnni
CPU_ISAS           := baseline $(if $(filter x86_64,$(MACHINE)),v3 v4)

# --- lists -----------------------------------------------------------------------------------
KERNEL_SOURCES := $(wildcard kernels/*.c)
CPU_SOURCES    := $(wildcard kernels/cpu/*.c)
REF_SOURCES    := $(wildcard kernels/ref/*.c)
DAEMON_SOURCES := $(wildcard daemon/*/*.c daemon/*/*/*.c)
CTL_SOURCES    := $(wildcard tools/hearthctl/*.c tools/hearthctl/*/*.c)
TEST_SOURCES   := $(wildcard tests/*/test_*.c)
TEST_SUPPORT   := $(filter-out $(TEST_SOURCES) $(wildcard tests/*/stress_*.c tests/*/fuzz_*.c tests/*/bench_*.c) tests/abi/% tests/peers/%,$(wildcard tests/*/*.c))
TEST_CXX       := $(wildcard tests/*/test_*.cc)
TEST_SCRIPTS   := $(sort $(wildcard tests/*/test_*.sh tests/*/test_*.py))
FUZZ_SOURCES   := $(wildcard tests/*/fuzz_*.c)
PEER_SOURCES   := $(filter-out $(PEERS_ABSENT:%=tests/peers/%.c),$(wildcard tests/peers/*.c))
PEER_PROGRAMS  := $(BUILD)/tests/peers/bench $(BUILD)/tests/peers/ranking $(BUILD)/tests/peers/alike
RANKING_PARTS  := $(filter tests/peers/ranker.c tests/peers/ranking.c tests/peers/ort.c,$(PEER_SOURCES))
ALIKE_PARTS    := $(filter tests/peers/alike.c tests/peers/ort.c,$(PEER_SOURCES))
EXAMPLES       := $(patsubst client/examples/%.c,$(BUILD)/bin/example_%,$(wildcard client/examples/*.c))
MAN_PAGES      := $(wildcard daemon/*.7 daemon/*.8 systemd/*.8 client/*.3 tools/hearthctl/*.1)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
KERNEL_OBJECTS := $(call objects,$(KERNEL_SOURCES)) \
	$(foreach isa,$(CPU_ISAS),$(patsubst kernels/cpu/%.c,$(BUILD)/obj/kernels/cpu/$(isa)/%.o,$(CPU_SOURCES))) \
	$(if $(filter v4,$(CPU_ISAS)),$(BUILD)/obj/kernels/cpu/v4_vnni/matmul_integer.o)
DAEMON_OBJECTS := $(call objects,$(DAEMON_SOURCES)) $(BUILD)/obj/gen/onnx.pb-c.o
CTL_OBJECTS    := $(call objects,$(CTL_SOURCES))
SUPPORT_OBJECTS := $(call objects,$(TEST_SUPPORT) $(REF_SOURCES) $(addprefix tools/hearthctl/,requests/npy.c requests/feed.c \
	top/figures.c top/reading.c interval.c row.c chart.c table.c))
program = $(BUILD)/tests/$(basename $(patsubst tests/%,%,$(1)))
TEST_PROGRAMS   := $(foreach source,$(TEST_SOURCES) $(TEST_CXX),$(call program,$(source)))
BENCH_PROGRAMS  := $(foreach source,$(wildcard tests/*/bench_*.c),$(call program,$(source)))
STRESS_PROGRAMS := $(foreach source,$(wildcard tests/*/stress_*.c),$(call program,$(source)))
FUZZ_PROGRAMS   := $(foreach source,$(FUZZ_SOURCES),$(call program,$(source)))

KERNELS_LIB := $(BUILD)/libkernels.a
DAEMON_LIB  := $(BUILD)/libdaemon.a
TEST_LIB    := $(BUILD)/libtest.a
HEADER      := $(BUILD)/include/hearth.h
PROGRAMS    := $(BUILD)/bin/hearthd $(BUILD)/bin/hearthctl

# --- targets ---------------------------------------------------------------------------------
.DEFAULT_GOAL := all
.PHONY: all check stress fuzz bench bench-peers demo tidy model-check install help clean install-packages
.SECONDARY .DELETE_ON_ERROR:

all: $(PROGRAMS) $(HEADER) $(BUILD)/lib/libhearth.so $(BUILD)/hearth.pc $(EXAMPLES) $(BUILD)/bin/demo_score

check: all $(TEST_PROGRAMS) $(FUZZ_PROGRAMS)
	$(Q)BUILD=$(BUILD) SAN='$(SAN)' tests/run.sh $(TEST_PROGRAMS) $(FUZZ_PROGRAMS) $(TEST_SCRIPTS)
stress: all $(STRESS_PROGRAMS)
	$(Q)BUILD=$(BUILD) tests/stress.sh $(STRESS_PROGRAMS)
fuzz: $(FUZZ_PROGRAMS)
	$(Q)BUILD=$(BUILD) tests/fuzz.sh $(FUZZ_SOURCES)
bench: all $(BENCH_PROGRAMS)
	$(Q)BUILD=$(BUILD) tests/bench.sh $(if $(BENCH),$(filter %/bench_$(BENCH),$(BENCH_PROGRAMS)),$(BENCH_PROGRAMS))
bench-peers: all $(PEER_PROGRAMS)
	$(Q)BUILD=$(BUILD) tests/bench.sh $(if $(BENCH),$(filter %/$(BENCH),$(PEER_PROGRAMS)),$(PEER_PROGRAMS))
demo:
	$(Q)tools/demo/demo.sh
tidy model-check install-packages:
	$(Q)tools/dev/$(subst -,_,$@).sh
install: all
	$(Q)tools/dev/install.sh '$(BUILD)' '$(DESTDIR)$(PREFIX)' '$(PREFIX)' $(MAN_PAGES)
clean:
	rm -rf build build-*

help:
	@sed -n 's/^#: //p' Makefile

#: make                 build everything into build/
#: make demo            install what is missing, build, score a real model, show the figures
#: make check           run every test; the last line is N passed, N failed, N skipped
#: make stress          the long fault campaigns
#: make fuzz            hostile inputs to every parser, with clang by coverage (FUZZ_RUNS=1000000)
#: make bench           speed against a peer or a physical limit of the same run (BENCH=name)
#: make bench-peers     hearth beside sockets, ZeroMQ, nng and gRPC (BENCH=bench), and beside ONNX
#:                      Runtime on full-size models (BENCH=ranking) and, answer by answer, on small
#:                      ones (BENCH=alike), as far as they are installed
#: make tidy            layering, names, barrier labels; prints what is long
#: make model-check     the rings under GenMC (GENMC=/path/to/genmc), its log into shm/
#: make install         into PREFIX (/usr/local) under DESTDIR
#: make install-packages  what the build needs, as root or with sudo
#: make clean
#: CC CFLAGS LDFLAGS PREFIX DESTDIR   as everywhere
#: V=1                  show the commands
#: SAN=address,undefined | thread     sanitizers, in a build folder of their own
#: CUDA=n | y           without or with the CUDA kernels (default: when nvcc is found)

# --- rules -----------------------------------------------------------------------------------
$(BUILD)/obj/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(if $(filter kernels/%,$<),$(KERNEL_CFLAGS)) -c -o $@ $<

define cpu_isa_rule
$(BUILD)/obj/kernels/cpu/$(1)/%.o: kernels/cpu/%.c
	$$(call say,CC,$$< [$(1)])
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_CPPFLAGS) $$(ALL_CFLAGS) $$(KERNEL_CFLAGS) $$(CPU_FLAGS_$(1)) -DCPU_ISA=$(1) -c -o $$@ $$<
endef
$(foreach isa,$(CPU_ISAS) v4_vnni,$(eval $(call cpu_isa_rule,$(isa))))

$(BUILD)/gen/onnx.pb-c.c $(BUILD)/gen/onnx.pb-c.h &: $(ONNX_PROTO)
	$(call say,PROTOC,$<)
	$(Q)mkdir -p $(@D) && cp $< $(@D)/onnx.proto && cd $(@D) && protoc-c --c_out=. onnx.proto

$(BUILD)/obj/gen/onnx.pb-c.o: $(BUILD)/gen/onnx.pb-c.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CPPFLAGS) -std=gnu11 -fPIC $(SANFLAGS) $(CFLAGS) -c -o $@ $<
$(call objects,$(wildcard daemon/model/*.c tests/model/*.c tests/exec/*node_case*.c)): | $(BUILD)/gen/onnx.pb-c.h

$(KERNELS_LIB): $(KERNEL_OBJECTS)
$(DAEMON_LIB): $(DAEMON_OBJECTS)
$(TEST_LIB): $(SUPPORT_OBJECTS)
$(BUILD)/%.a:
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D) && rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/bin/hearthd: $(BUILD)/obj/daemon/main.o $(DAEMON_LIB) $(KERNELS_LIB)
$(BUILD)/bin/hearthctl: $(CTL_OBJECTS) $(DAEMON_LIB) $(KERNELS_LIB)
$(BUILD)/bin/hearthctl: LIBS += $(SCREEN_LIBS)
$(BUILD)/bin/demo_score: $(call objects,tools/demo/score.c $(addprefix tools/hearthctl/,requests/npy.c chart.c table.c)) $(DAEMON_LIB)
$(PROGRAMS) $(BUILD)/bin/demo_score:
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(HEADER): $(wildcard client/*.h shm/*.h) tools/dev/single_header.sh
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && tools/dev/single_header.sh client/hearth.h > $@
	$(Q)for extra in $(wildcard client/hearth_*.h); do cp $$extra $(@D)/; done

$(BUILD)/lib/libhearth.so: client/libhearth.c $(HEADER)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(filter-out -I.,$(ALL_CPPFLAGS)) -I$(BUILD)/include $(ALL_CFLAGS) $(ALL_LDFLAGS) \
		-shared -Wl,-soname,libhearth.so.1 -o $@ $<

$(BUILD)/hearth.pc: client/hearth.pc.in Makefile
	$(Q)sed 's|@VERSION@|$(VERSION)|' $< > $@

$(BUILD)/bin/example_%: client/examples/%.c $(HEADER)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu11 $(WARNINGS) -Wpedantic -MMD -MP -I$(BUILD)/include $(PACKAGE_CFLAGS) $(SANFLAGS) \
		$(CFLAGS) -o $@ $< $(LDFLAGS) $(if $(findstring uring,$*),-luring)

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(TEST_LIB) $(DAEMON_LIB) $(KERNELS_LIB)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(CHECK_LIBS) $(LIBS)

# A fuzzer's main is libFuzzer's, or replay.c; its model comes from memory: tests/exec/load_bytes.c.
$(FUZZ_PROGRAMS): $(if $(findstring fuzzer,$(SAN)),,$(BUILD)/obj/tests/replay.o)
$(BUILD)/tests/model/fuzz_onnx $(BUILD)/tests/model/test_onnx_loads: ALL_LDFLAGS += -Wl,--wrap=onnx_open,--wrap=span_map_for,--wrap=span_map_parts,--wrap=span_unmap

$(BUILD)/tests/peers/bench: $(call objects,$(filter-out $(RANKING_PARTS) $(ALIKE_PARTS),$(PEER_SOURCES))) $(BUILD)/config.mk # which ones there are
$(BUILD)/tests/peers/bench: CHECK_LIBS += $(PEER_LIBS)
$(BUILD)/tests/peers/ranking: $(call objects,$(RANKING_PARTS)) $(BUILD)/config.mk
$(BUILD)/tests/peers/alike: $(call objects,$(ALIKE_PARTS)) $(BUILD)/config.mk
$(BUILD)/obj/tests/peers/ort.o: ALL_CFLAGS += $(ORT_CFLAGS)

$(BUILD)/tests/%: tests/%.cc $(HEADER)
	$(call say,CXX,$@)
	$(Q)mkdir -p $(@D) && $(CXX) -I$(BUILD)/include -MMD -MP -MF $@.d $(ALL_CXXFLAGS) -o $@ $< $(ALL_LDFLAGS)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
