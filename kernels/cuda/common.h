// What all kernels share: names for types, 16-bit floats, 16-byte loads, the matrix instruction, asynchronous copies.
//
// No CUDA header is needed: NVRTC alone compiles this, whatever toolkit is or is not installed. A C++ compiler for the
// host compiles it too: then host.h stands for the GPU (see there).
#pragma once

typedef unsigned char u8;
typedef unsigned short f16;  // the bits of an IEEE half
typedef unsigned int u32;

struct alignas(16) Vec { u32 x, y, z, w; };   // eight halves, or sixteen bytes
struct alignas(16) Float4 { float x, y, z, w; };

#ifdef __CUDACC__

#define KERNEL(name, threads) extern "C" __global__ void __launch_bounds__(threads) name
#define KERNEL_AT_LEAST(blocks, name, threads) extern "C" __global__ void __launch_bounds__(threads, blocks) name
#define DEVICE __device__ __forceinline__
#define SHARED(name) extern __shared__ Vec name[]
#define STATIC_SHARED __shared__
#define UNROLL _Pragma("unroll")
#define ONCE _Pragma("unroll 1")

DEVICE float to_float(f16 h) { float f; asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h)); return f; }
DEVICE f16 to_half(float f) { f16 h; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f)); return h; }

// Both halves of a times both halves of b.
DEVICE u32 multiply2(u32 a, u32 b) { u32 d; asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b)); return d; }

DEVICE float inverse_root(float v) { return rsqrtf(v); }
DEVICE float shuffle_xor(float v, int lane) { return __shfl_xor_sync(0xffffffffu, v, lane); }
DEVICE void warp_barrier() { __syncwarp(); }

DEVICE u32 shared_address(const void* p) {
    u32 address;
    asm("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }" : "=r"(address) : "l"(p));
    return address;
}

// Four 8x8 matrices of halves; lane 8 j + r gives the address of row r of matrix j.
DEVICE void load_matrices(u32& a, u32& b, u32& c, u32& d, const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(a), "=r"(b), "=r"(c), "=r"(d) : "r"(shared_address(row)) : "memory");
}

// d[16x8] += a[16x16] b[16x8], halves in, floats out; one instruction from compute capability 8.0 on, two before.
DEVICE void multiply_add(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}

// Sixteen bytes to shared memory, or zeros where there is nothing to read. From 8.0 on they arrive later: see await.
DEVICE void copy_async(Vec* to, const void* from, bool there) {
#if __CUDA_ARCH__ >= 800
    const int bytes = there ? 16 : 0;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 16, %2;"
                 :: "r"(shared_address(to)), "l"(from), "r"(bytes) : "memory");
#else
    *to = there ? *static_cast<const Vec*>(from) : Vec{0, 0, 0, 0};
#endif
}

DEVICE void commit() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Wait until at most this many of the groups committed last are still on their way.
template <int groups> DEVICE void await() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" :: "n"(groups) : "memory");
#endif
}

#else
#include "host.h"
#endif

DEVICE int least(int a, int b) { return a < b ? a : b; }
DEVICE int most(int a, int b) { return a > b ? a : b; }
DEVICE float limited(float v, float low, float high) { return v < low ? low : v > high ? high : v; }  // keeps NaN
DEVICE f16 low_half(u32 v) { return static_cast<f16>(v & 0xffffu); }
DEVICE f16 high_half(u32 v) { return static_cast<f16>(v >> 16); }
DEVICE u32 pack(float low, float high) { return u32(to_half(low)) | u32(to_half(high)) << 16; }

DEVICE float load_float(const float* p) { return *p; }
DEVICE float load_float(const f16* p) { return to_float(*p); }
DEVICE void store_float(float* p, float v) { *p = v; }
DEVICE void store_float(f16* p, float v) { *p = to_half(v); }

// The sum over the lanes of a warp, in every lane.
DEVICE float warp_sum(float v) {
    UNROLL for (int lane = 16; lane; lane >>= 1) v += shuffle_xor(v, lane);
    return v;
}
DEVICE float warp_max(float v) {
    UNROLL for (int lane = 16; lane; lane >>= 1) v = fmaxf(v, shuffle_xor(v, lane));
    return v;
}

// Noise and bias are added, then leaky ReLU, gain and clamp (limit < 0: none).
struct Finish { float slope, gain, limit; };
DEVICE float finished(float v, const Finish& f) {
    v = (v < 0 ? v * f.slope : v) * f.gain;
    return f.limit < 0 ? v : limited(v, -f.limit, f.limit);
}
