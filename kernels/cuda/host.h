// The GPU that common.h wants, on the host: a block's threads as fibers, barriers, warp exchange, the matrix instruction.
//
// Threads run one at a time from barrier to barrier, in ascending or descending order (a result that depends on the order
// shows a missing barrier). Asynchronous copies arrive at once in the first order and as late as they may in the second.
// A barrier that only some threads of a block reach ends the launch with an error. For tests:
// it shows that index arithmetic, barriers and data layouts are right, not how fast anything is.
#pragma once
#include <csetjmp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>
#include <ucontext.h>

struct Dim { int x, y, z; };
static Dim threadIdx, blockIdx, blockDim, gridDim;

#define __syncthreads() host::wait(host::BLOCK)
#define KERNEL(name, threads) static void name
#define KERNEL_AT_LEAST(blocks, name, threads) static void name
#define DEVICE static inline
#define SHARED(name) Vec* const name = host::shared
#define STATIC_SHARED static
#define UNROLL
#define ONCE

namespace host {

enum State { READY, WARP, BLOCK, DONE };
constexpr std::size_t STACK = 64 * 1024, SHARED_BYTES = 164 * 1024;
constexpr int LANES = 32;

struct Copy { Vec* to; const void* from; };  // from nothing: zeros

struct Fiber {
    State state;
    bool started;
    int exchanges;
    jmp_buf here;
    ucontext_t start;
    Dim index;
    std::vector<std::vector<Copy>> copies;  // by group, the last one not committed yet
};
struct Slot { alignas(16) unsigned char bytes[64]; };

static std::vector<Fiber> fibers;
static std::vector<char> stacks;
static std::vector<Slot> slots;  // [2][threads]: two exchanges may overlap, never three
alignas(128) static Vec shared[SHARED_BYTES / sizeof(Vec)];
static Fiber* self;
static bool late;
static jmp_buf scheduler;
static void (*body)(void**);
static void** arguments;

static int rank() { return static_cast<int>(self - fibers.data()); }

static void wait(State group) {
    self->state = group;
    if (!_setjmp(self->here)) _longjmp(scheduler, 1);
}

static void enter() {
    body(arguments);
    self->state = DONE;
    _longjmp(scheduler, 1);
}

static void resume(Fiber& fiber) {
    self = &fiber;
    threadIdx = fiber.index;
    if (_setjmp(scheduler)) return;
    if (fiber.started) _longjmp(fiber.here, 1);
    fiber.started = true;
    setcontext(&fiber.start);
}

// Release every warp or block all of whose threads wait; false when nothing moves any more.
static bool release(int threads) {
    bool moved = false;
    for (int first = 0; first < threads; first += LANES) {
        const int last = first + LANES < threads ? first + LANES : threads;
        int waiting = 0;
        for (int i = first; i < last; i++) waiting += fibers[i].state == WARP;
        if (waiting == last - first) {
            for (int i = first; i < last; i++) fibers[i].state = READY;
            moved = true;
        }
    }
    int waiting = 0;
    for (int i = 0; i < threads; i++) waiting += fibers[i].state == BLOCK;
    if (waiting == threads) {
        for (int i = 0; i < threads; i++) fibers[i].state = READY;
        moved = true;
    }
    return moved;
}

static bool run_block(int threads, bool descending) {
    for (int i = 0; i < threads; i++) {
        Fiber& fiber = fibers[i];
        fiber.state = READY, fiber.started = false, fiber.exchanges = 0;
        fiber.copies.assign(1, {});
        fiber.index = Dim{i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
        getcontext(&fiber.start);
        fiber.start.uc_stack.ss_sp = stacks.data() + STACK * i;
        fiber.start.uc_stack.ss_size = STACK;
        fiber.start.uc_link = nullptr;
        makecontext(&fiber.start, enter, 0);
    }
    for (;;) {
        int done = 0;
        for (int k = 0; k < threads; k++) {
            Fiber& fiber = fibers[descending ? threads - 1 - k : k];
            if (fiber.state == READY) resume(fiber);
        }
        for (int i = 0; i < threads; i++) done += fibers[i].state == DONE;
        if (done == threads) return true;
        if (!release(threads)) return false;
    }
}

// 0, 1: the threads of a block did not all reach the same barrier, 2: more shared memory than there is.
static int launch(void (*kernel)(void**), const int* grid, const int* block, int bytes, int descending, void** given) {
    gridDim = Dim{grid[0], grid[1], grid[2]}, blockDim = Dim{block[0], block[1], block[2]};
    const int threads = block[0] * block[1] * block[2];
    if (static_cast<std::size_t>(bytes) > SHARED_BYTES) return 2;
    body = kernel, arguments = given, late = descending;
    fibers.resize(threads), stacks.resize(STACK * threads), slots.resize(2 * threads);
    for (int z = 0; z < grid[2]; z++)
        for (int y = 0; y < grid[1]; y++)
            for (int x = 0; x < grid[0]; x++) {
                blockIdx = Dim{x, y, z};
                std::memset(shared, 0xff, sizeof shared);  // not-a-numbers: what was never written shows
                if (!run_block(threads, descending)) return 1;
            }
    return 0;
}

template <class... A, std::size_t... I>
static void call(void (*kernel)(A...), void** given, std::index_sequence<I...>) {
    kernel(*static_cast<A*>(given[I])...);
}
template <class... A> static void call(void (*kernel)(A...), void** given) {
    call(kernel, given, std::index_sequence_for<A...>{});
}

// Every lane gives a value and gets those of its whole warp.
template <class T> static const Slot* exchange(const T& value) {
    static_assert(sizeof(T) <= sizeof(Slot), "too much for one exchange");
    const int me = rank();
    Slot* all = slots.data() + (self->exchanges++ & 1) * fibers.size();
    std::memcpy(all[me].bytes, &value, sizeof value);
    wait(WARP);
    return all + me / LANES * LANES;
}
template <class T> static T from(const Slot* warp, int lane) {
    T value;
    std::memcpy(&value, warp[lane].bytes, sizeof value);
    return value;
}

}  // namespace host

#define HOST_ENTRY(name)                                                                                      \
    extern "C" int launch_##name(const int* grid, const int* block, int bytes, int descending, void** given) { \
        return host::launch([](void** a) { host::call(name, a); }, grid, block, bytes, descending, given);     \
    }

DEVICE float to_float(f16 h) { _Float16 v; std::memcpy(&v, &h, 2); return static_cast<float>(v); }
DEVICE f16 to_half(float f) { const _Float16 v = static_cast<_Float16>(f); f16 h; std::memcpy(&h, &v, 2); return h; }
DEVICE u32 multiply2(u32 a, u32 b) {
    const float low = to_float(f16(a & 0xffff)) * to_float(f16(b & 0xffff));
    const float high = to_float(f16(a >> 16)) * to_float(f16(b >> 16));
    return u32(to_half(low)) | u32(to_half(high)) << 16;
}
DEVICE float inverse_root(float v) { return 1.0f / std::sqrt(v); }
DEVICE float shuffle_xor(float v, int lane) {
    const int me = host::rank() % host::LANES;
    return host::from<float>(host::exchange(v), me ^ lane);
}
DEVICE void warp_barrier() { host::wait(host::WARP); }

// After PTX ISA, ldmatrix: lane l receives elements 2 (l % 4) and the next of row l / 4 of each matrix.
DEVICE void load_matrices(u32& a, u32& b, u32& c, u32& d, const void* row) {
    const int me = host::rank() % host::LANES;
    const host::Slot* warp = host::exchange(row);
    u32* out[4] = {&a, &b, &c, &d};
    for (int j = 0; j < 4; j++) {
        const char* from = host::from<const char*>(warp, 8 * j + me / 4);
        std::memcpy(out[j], from + 4 * (me % 4), 4);
    }
}

// After PTX ISA, mma.m16n8k16: lane l holds of a rows l / 4 and l / 4 + 8, columns 2 (l % 4), + 1, + 8, + 9; of b the
// same rows of k and column l / 4; of d rows l / 4 and l / 4 + 8, columns 2 (l % 4) and + 1.
DEVICE void multiply_add(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    struct Operands { float a[8], b[4]; } mine;
    for (int r = 0; r < 4; r++)
        mine.a[2 * r] = to_float(f16(a[r] & 0xffff)), mine.a[2 * r + 1] = to_float(f16(a[r] >> 16));
    mine.b[0] = to_float(f16(b0 & 0xffff)), mine.b[1] = to_float(f16(b0 >> 16));
    mine.b[2] = to_float(f16(b1 & 0xffff)), mine.b[3] = to_float(f16(b1 >> 16));
    const int me = host::rank() % host::LANES, row = me / 4, column = 2 * (me % 4);
    const host::Slot* warp = host::exchange(mine);
    for (int quad = 0; quad < 4; quad++) {
        const Operands* p = reinterpret_cast<const Operands*>(warp[row * 4 + quad].bytes);
        const Operands* q0 = reinterpret_cast<const Operands*>(warp[column * 4 + quad].bytes);
        const Operands* q1 = reinterpret_cast<const Operands*>(warp[(column + 1) * 4 + quad].bytes);
        for (int upper = 0; upper < 2; upper++)      // k below or from 8 on
            for (int odd = 0; odd < 2; odd++) {      // k even or odd
                const float top = p->a[4 * upper + odd], low = p->a[4 * upper + 2 + odd];
                const float one = q0->b[2 * upper + odd], two = q1->b[2 * upper + odd];
                d[0] += top * one, d[1] += top * two, d[2] += low * one, d[3] += low * two;
            }
    }
}

DEVICE void copy_now(const host::Copy& copy) {
    if (copy.from) std::memcpy(copy.to, copy.from, 16);
    else std::memset(copy.to, 0, 16);
}
DEVICE void copy_async(Vec* to, const void* from, bool there) {
    const host::Copy copy{to, there ? from : nullptr};
    if (host::late) host::self->copies.back().push_back(copy);
    else copy_now(copy);
}
DEVICE void commit() { host::self->copies.emplace_back(); }
template <int groups> DEVICE void await() {
    std::vector<std::vector<host::Copy>>& all = host::self->copies;
    for (std::size_t i = 0; i + 1 + groups < all.size(); i++) {
        for (const host::Copy& copy : all[i]) copy_now(copy);
        all[i].clear();
    }
}
