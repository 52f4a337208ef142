// Arithmetic on a bundle of rays: 16 or 8 lanes on a CPU (GCC vector extensions), one on a GPU thread. The world is written
// once on top of it; nothing here knows what a face is. The elementary functions are polynomials (Cephes-type minimax
// coefficients), so that every build draws the same picture to rounding. nvcc compiles the GPU branch; only the CPU build is run.
#pragma once
#ifdef __CUDACC__
#define FW __device__ static inline
#define FW_CALL __device__ static __noinline__
#define FW_BOTH __host__ __device__ static inline
typedef float F;
typedef int I;
typedef bool M;
#define LANES 1
FW bool any_of(M m) { return m; }
FW F root(F x) { return sqrtf(x); }
FW I to_int(F x) { return (int)x; }
FW F to_float(I x) { return (float)x; }
FW F pow2i(I n) { return __int_as_float((n + 127) << 23); }
#else
#include <cmath>
#include <cstring>
#define FW static inline __attribute__((always_inline))
#define FW_CALL static __attribute__((noinline))
#define FW_BOTH FW
#ifdef __AVX512F__
#define LANES 16
#else
#define LANES 8   // wider than the registers, GCC takes bundles apart element by element
#endif
typedef float F __attribute__((vector_size(LANES * 4)));
typedef int I __attribute__((vector_size(LANES * 4)));
typedef int M __attribute__((vector_size(LANES * 4)));
#if defined(__AVX512F__)
#include <immintrin.h>
FW bool any_of(M m) { return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0; }
FW F root(F x) { return (F)_mm512_sqrt_ps((__m512)x); }
#elif defined(__AVX2__)
#include <immintrin.h>
FW bool any_of(M m) { return _mm256_testz_si256((__m256i)m, (__m256i)m) == 0; }
FW F root(F x) { return (F)_mm256_sqrt_ps((__m256)x); }
#else
FW bool any_of(M m) { int r = 0; for (int i = 0; i < LANES; i++) r |= m[i]; return r != 0; }
FW F root(F x) { F r; for (int i = 0; i < LANES; i++) r[i] = sqrtf(x[i]); return r; }
#endif
FW I to_int(F x) { return __builtin_convertvector(x, I); }
FW F to_float(I x) { return __builtin_convertvector(x, F); }
FW F pow2i(I n) { I b = (n + 127) << 23; F r; memcpy(&r, &b, sizeof r); return r; }
#endif
FW F bc(float s) { F r = {}; return r + s; }
FW F sel(M m, F a, F b) { return m ? a : b; }
FW F lo(F a, F b) { return a < b ? a : b; }
FW F hi(F a, F b) { return a > b ? a : b; }
#ifndef __CUDACC__
FW F lo(F a, float b) { return lo(a, bc(b)); }
FW F hi(F a, float b) { return hi(a, bc(b)); }
#endif
FW F absf(F a) { return hi(a, -a); }
FW F clampf(F x, float a, float b) { return lo(hi(x, a), b); }
FW F mix(F a, F b, F t) { return a + (b - a) * t; }
FW_BOTH float mixu(float a, float b, float t) { return a + (b - a) * t; }
FW_BOTH float clampu(float x, float a, float b) { return x < a ? a : (x > b ? b : x); }
FW F step_smooth(float a, float b, F x) { F t = clampf((x - a) * (1.f / (b - a)), 0.f, 1.f); return t * t * (3.f - 2.f * t); }
FW F floor_(F x) { F t = to_float(to_int(x)); return sel(t > x, t - 1.f, t); }
FW F exp_(F x) {  // relative error below 1e-6 for -60..60
    x = clampf(x, -60.f, 60.f) * 1.44269504f;
    F n = floor_(x + .5f), f = x - n;
    F p = 1.f + f * (.693147182f + f * (.240226462f + f * (.0555032566f + f * (.00961789545f + f * .00133952552f))));
    return p * pow2i(to_int(n));
}
FW F sin_(F x) {  // absolute error below 1e-5
    F n = floor_(x * .318309886f + .5f), r = x - n * 3.14159265f, s = r * r;
    F v = r * (1.f + s * (-.166666546f + s * (.00833216087f + s * -.000195152959f)));
    F odd = n - 2.f * floor_(n * .5f);
    return sel(odd > .5f, -v, v);
}
FW F atan2_(F y, F x) {  // absolute error below 1e-4
    F ax = absf(x), ay = absf(y), a = lo(ax, ay) / (hi(ax, ay) + 1e-12f), s = a * a;
    F r = a * (.99997726f + s * (-.33262347f + s * (.19354346f + s * (-.11643287f + s * (.05265332f - s * .01172120f)))));
    r = sel(ay > ax, 1.57079637f - r, r);
    r = sel(x < 0.f, 3.14159274f - r, r);
    return sel(y < 0.f, -r, r);
}
struct V { F x, y, z; };
FW V vec(F x, F y, F z) { V v = {x, y, z}; return v; }
FW V at(float x, float y, float z) { return vec(bc(x), bc(y), bc(z)); }
FW V operator+(V a, V b) { return vec(a.x + b.x, a.y + b.y, a.z + b.z); }
FW V operator-(V a, V b) { return vec(a.x - b.x, a.y - b.y, a.z - b.z); }
FW V operator*(V a, F s) { return vec(a.x * s, a.y * s, a.z * s); }
FW V operator*(V a, V b) { return vec(a.x * b.x, a.y * b.y, a.z * b.z); }
FW V mix(V a, V b, F t) { return a + (b - a) * t; }
FW V sel(M m, V a, V b) { return vec(sel(m, a.x, b.x), sel(m, a.y, b.y), sel(m, a.z, b.z)); }
FW F dot(V a, V b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
FW F length(V a) { return root(dot(a, a)); }
FW V unit(V a) { return a * (1.f / (length(a) + 1e-9f)); }
FW V shift(V p, float x, float y, float z) { return vec(p.x - x, p.y - y, p.z - z); }
FW F smooth_min(F a, F b, float k) { F h = hi(k - absf(a - b), 0.f) * (1.f / k); return lo(a, b) - h * h * (k * .25f); }
FW F smooth_max(F a, F b, float k) { return -smooth_min(-a, -b, k); }
FW F ellipsoid(V p, float x, float y, float z) {
    V q = vec(p.x * (1 / x), p.y * (1 / y), p.z * (1 / z)), r = vec(q.x * (1 / x), q.y * (1 / y), q.z * (1 / z));
    F k0 = length(q), k1 = length(r);
    return k0 * (k0 - 1.f) / (k1 + 1e-6f);
}
FW F capsule(V p, float ax, float ay, float az, float bx, float by, float bz, float ra, float rb) {
    float dx = bx - ax, dy = by - ay, dz = bz - az, n = 1.f / (dx * dx + dy * dy + dz * dz);
    V a = shift(p, ax, ay, az);
    F h = clampf((a.x * dx + a.y * dy + a.z * dz) * n, 0.f, 1.f);
    return length(vec(a.x - h * dx, a.y - h * dy, a.z - h * dz)) - (ra + (rb - ra) * h);
}
FW F hash_(I n) {
    n = (n << 13) ^ n;
    n = (n * (n * n * 15731 + 789221) + 1376312589) & 0x7fffffff;
    return 1.f - to_float(n) * (1.f / 1073741824.f);
}
FW F noise(V p) {  // value noise, -1..1
    F fx = floor_(p.x), fy = floor_(p.y), fz = floor_(p.z);
    I n = to_int(fx) + to_int(fy) * 57 + to_int(fz) * 131;
    F x = p.x - fx, y = p.y - fy, z = p.z - fz;
    x = x * x * (3.f - 2.f * x); y = y * y * (3.f - 2.f * y); z = z * z * (3.f - 2.f * z);
    F a = mix(mix(hash_(n), hash_(n + 1), x), mix(hash_(n + 57), hash_(n + 58), x), y);
    F b = mix(mix(hash_(n + 131), hash_(n + 132), x), mix(hash_(n + 188), hash_(n + 189), x), y);
    return mix(a, b, z);
}
