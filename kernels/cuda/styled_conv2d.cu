// Modulated convolution as an implicit matrix product: [pixels x inputs * taps] times [inputs * taps x outputs].
//
//   acc[p, o] = sum over taps t and inputs i of  style[n, i] * x[n, y + dy_t, x + dx_t, i] * weight[slice_t, o, i]
//   y[n, p, o] = clamp(lrelu(acc * scale[n, o] + noise[n, p] * strength + addend[n, p, o] + bias[o]) * gain)
//
// Pictures are channels-last halves. A phase is a set of output pixels (y * step + phase_y, x * step + phase_x) with its
// own taps: a plain convolution has one phase, a transposed one of stride 2 has four with 4, 2, 2 and 1 taps, and one
// whose filter is folded in has four with nine each. Row p of the table: count, rows, columns, phase_y, phase_x, then
// (dy, dx, slice) of each tap.
//
// A block computes a patch of pixels times a range of outputs. Steps along the sum, 32 inputs of one tap each, arrive in
// shared memory three deep; the taps of the same inputs follow each other, so that they meet in the L1 cache. The style
// is applied to the operand in registers. A sum that is split over blocks leaves floats for conv_finish.
#include "common.h"

constexpr int DEEP = 3, WIDE = 32, CHUNKS = WIDE / 8, TABLE = 5 + 3 * 9;

struct Shape { int height, width, inputs, outputs, out_height, out_width, step; };

// Where chunk c of row r lies: rows of 64 bytes, swizzled so that eight rows at one chunk touch all banks once.
DEVICE int place(int row, int chunk) { return row * CHUNKS + (chunk ^ (row >> 1 & 3)); }

DEVICE Vec gathered(const f16* from, int count) {  // up to eight halves that are not aligned
    u32 v[4] = {0, 0, 0, 0};
    UNROLL for (int i = 0; i < 8; i++) if (i < count) v[i / 2] |= u32(from[i]) << (i % 2 * 16);
    return Vec{v[0], v[1], v[2], v[3]};
}

DEVICE void fetch(Vec* to, const f16* from, int count, bool there, bool aligned) {
    if (aligned) copy_async(to, from, there && count > 0);
    else *to = gathered(from, there ? count : 0);
}

template <int ROWS, int COLUMNS, int OUTPUTS, int WARP_M, int WARP_N>
DEVICE void convolve(
    f16* y, float* partial, const f16* x, const f16* weight, const f16* style, const float* scale, const float* noise,
    const float* bias, const f16* addend, const int* table, const Shape& s, int batch, int phases, int splits, int noise_batch,
    float strength, const Finish& finish
) {
    constexpr int PIXELS = ROWS * COLUMNS, WARPS_N = OUTPUTS / WARP_N;
    constexpr int THREADS = PIXELS / WARP_M * WARPS_N * 32;
    constexpr int TILES_M = WARP_M / 16, TILES_N = WARP_N / 8;
    constexpr int STAGE = (PIXELS + OUTPUTS) * CHUNKS;
    SHARED(memory);
    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    const int warp_m = warp / WARPS_N * WARP_M, warp_n = warp % WARPS_N * WARP_N;
    const int sample = blockIdx.z / (phases * splits), phase = blockIdx.z / splits % phases, split = blockIdx.z % splits;
    const int* row_of_table = table + phase * TABLE;
    const int taps = row_of_table[0], rows = row_of_table[1], columns = row_of_table[2];
    const int patches = (columns + COLUMNS - 1) / COLUMNS;
    const int top = blockIdx.x / patches * ROWS, left = blockIdx.x % patches * COLUMNS, first_output = blockIdx.y * OUTPUTS;
    if (top >= rows) return;  // the grid covers the largest phase

    const bool aligned = s.inputs % 8 == 0;
    const int steps = (s.inputs + WIDE - 1) / WIDE * taps;
    const int begin = steps * split / splits, end = steps * (split + 1) / splits;
    x += static_cast<long long>(sample) * s.height * s.width * s.inputs;
    style += static_cast<long long>(sample) * s.inputs;

    const auto load = [&](int step) {
        Vec* const pixels = memory + step % DEEP * STAGE;
        Vec* const weights = pixels + PIXELS * CHUNKS;
        const int input = step / taps * WIDE, tap = step % taps;
        const int dy = row_of_table[5 + 3 * tap], dx = row_of_table[6 + 3 * tap], slice = row_of_table[7 + 3 * tap];
        for (int i = thread; i < PIXELS * CHUNKS; i += THREADS) {
            const int row = i / CHUNKS, chunk = i % CHUNKS, from = input + chunk * 8;
            const int iy = top + row / COLUMNS + dy, ix = left + row % COLUMNS + dx;
            const bool there = iy >= 0 && iy < s.height && ix >= 0 && ix < s.width && from < s.inputs;
            const long long at = (static_cast<long long>(iy) * s.width + ix) * s.inputs + from;
            fetch(pixels + place(row, chunk), there ? x + at : x, s.inputs - from, there, aligned);
        }
        for (int i = thread; i < OUTPUTS * CHUNKS; i += THREADS) {
            const int row = i / CHUNKS, chunk = i % CHUNKS, from = input + chunk * 8, output = first_output + row;
            const bool there = output < s.outputs && from < s.inputs;
            const long long at = (static_cast<long long>(slice) * s.outputs + output) * s.inputs + from;
            fetch(weights + place(row, chunk), there ? weight + at : weight, s.inputs - from, there, aligned);
        }
    };

    // The sample's style lies behind the stages, with zeros up to a whole step.
    f16* const styles = reinterpret_cast<f16*>(memory + DEEP * STAGE);
    for (int i = thread; i < (s.inputs + WIDE - 1) / WIDE * WIDE; i += THREADS) styles[i] = i < s.inputs ? style[i] : f16(0);

    float acc[TILES_M][TILES_N][4] = {};
    UNROLL for (int ahead = 0; ahead < DEEP - 1; ahead++) {
        if (begin + ahead < end) load(begin + ahead);
        commit();
    }
    ONCE for (int step = begin; step < end; step++) {
        await<DEEP - 2>();
        __syncthreads();  // this step has arrived for all, and all are done with the one whose place is filled next
        if (step + DEEP - 1 < end) load(step + DEEP - 1);
        commit();
        const Vec* const pixels = memory + step % DEEP * STAGE;
        const Vec* const weights = pixels + PIXELS * CHUNKS;
        const f16* const mine = styles + step / taps * WIDE + lane % 4 * 2;
        UNROLL for (int part = 0; part < WIDE / 16; part++) {
            const u32 near = *reinterpret_cast<const u32*>(mine + part * 16);
            const u32 far = *reinterpret_cast<const u32*>(mine + part * 16 + 8);
            u32 a[TILES_M][4], b[TILES_N][2];
            UNROLL for (int m = 0; m < TILES_M; m++) {
                const int row = warp_m + m * 16 + lane % 16;
                load_matrices(a[m][0], a[m][1], a[m][2], a[m][3], pixels + place(row, part * 2 + lane / 16));
                a[m][0] = multiply2(a[m][0], near), a[m][1] = multiply2(a[m][1], near);
                a[m][2] = multiply2(a[m][2], far), a[m][3] = multiply2(a[m][3], far);
            }
            UNROLL for (int n = 0; n < TILES_N; n += 2) {
                const int row = warp_n + n * 8 + lane / 16 * 8 + lane % 8;
                load_matrices(b[n][0], b[n][1], b[n + 1][0], b[n + 1][1], weights + place(row, part * 2 + lane / 8 % 2));
            }
            UNROLL for (int m = 0; m < TILES_M; m++)
                UNROLL for (int n = 0; n < TILES_N; n++) multiply_add(acc[m][n], a[m], b[n][0], b[n][1]);
        }
    }
    await<0>();
    __syncthreads();

    // Epilogue: finished halves through shared memory, so that they leave in whole rows; or raw floats of a split sum.
    constexpr int PITCH = OUTPUTS + 8;
    f16* const staged = reinterpret_cast<f16*>(memory);
    const int phase_y = row_of_table[3], phase_x = row_of_table[4];
    const long long area = static_cast<long long>(s.out_height) * s.out_width;
    UNROLL for (int m = 0; m < TILES_M; m++)
        UNROLL for (int half = 0; half < 2; half++) {
            const int row = warp_m + m * 16 + half * 8 + lane / 4;
            const int py = top + row / COLUMNS, px = left + row % COLUMNS;
            const bool inside = py < rows && px < columns;
            const long long at = static_cast<long long>(py * s.step + phase_y) * s.out_width + px * s.step + phase_x;
            float added = 0;
            if (noise && inside) added = noise[(noise_batch > 1 ? sample : 0) * area + at] * strength;
            UNROLL for (int n = 0; n < TILES_N; n++)
                UNROLL for (int odd = 0; odd < 2; odd++) {
                    const int column = warp_n + n * 8 + lane % 4 * 2 + odd, output = first_output + column;
                    const float v = acc[m][n][half * 2 + odd];
                    if (partial) {
                        const long long to = ((static_cast<long long>(split) * batch + sample) * area + at) * s.outputs;
                        if (inside && output < s.outputs) partial[to + output] = v;
                    } else if (output < s.outputs) {
                        float scaled = v * scale[sample * s.outputs + output] + added;
                        if (addend && inside) scaled += to_float(addend[(sample * area + at) * s.outputs + output]);
                        staged[row * PITCH + column] = to_half(finished(scaled + (bias ? bias[output] : 0.f), finish));
                    }
                }
        }
    if (partial) return;
    __syncthreads();
    const bool whole = s.outputs % 8 == 0;
    for (int i = thread; i < PIXELS * OUTPUTS / 8; i += THREADS) {
        const int row = i / (OUTPUTS / 8), column = i % (OUTPUTS / 8) * 8, output = first_output + column;
        const int py = top + row / COLUMNS, px = left + row % COLUMNS;
        if (py >= rows || px >= columns || output >= s.outputs) continue;
        const long long at = static_cast<long long>(py * s.step + phase_y) * s.out_width + px * s.step + phase_x;
        f16* const to = y + (sample * area + at) * s.outputs + output;
        const f16* const from = staged + row * PITCH + column;
        if (whole) *reinterpret_cast<Vec*>(to) = *reinterpret_cast<const Vec*>(from);
        else for (int k = 0; k < 8 && output + k < s.outputs; k++) to[k] = from[k];
    }
}

// blocks: how many a multiprocessor holds, which bounds the registers; left to itself the compiler spills on 12.0.
#define CONVOLUTION(name, threads, ROWS, COLUMNS, OUTPUTS, WARP_M, WARP_N, blocks)                                       \
    KERNEL_AT_LEAST(blocks, name, threads)(                                                                              \
        f16* y, float* partial, const f16* x, const f16* weight, const f16* style, const float* scale,                   \
        const float* noise, const float* bias, const f16* addend, const int* table, int batch, int height, int width,    \
        int inputs, int outputs, int out_height, int out_width, int step, int phases, int splits, int noise_batch,       \
        float strength, float slope, float gain, float limit                                                             \
    ) {                                                                                                                  \
        const Shape shape{height, width, inputs, outputs, out_height, out_width, step};                                  \
        convolve<ROWS, COLUMNS, OUTPUTS, WARP_M, WARP_N>(                                                                \
            y, partial, x, weight, style, scale, noise, bias, addend, table, shape, batch, phases, splits, noise_batch,  \
            strength, Finish{slope, gain, limit}                                                                         \
        );                                                                                                               \
    }

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr int HELD = 1;  // shared memory holds no more
#else
constexpr int HELD = 2;
#endif
CONVOLUTION(conv_128x128, 256, 8, 16, 128, 64, 32, HELD)
CONVOLUTION(conv_128x64, 256, 8, 16, 64, 32, 32, 2)
CONVOLUTION(conv_128x32, 128, 8, 16, 32, 32, 32, 4)
CONVOLUTION(conv_64x64, 128, 8, 8, 64, 32, 32, 5)
CONVOLUTION(conv_16x64, 64, 4, 4, 64, 16, 32, 8)

// The splits' sums added up in their order, then the same epilogue: one thread an output of a pixel.
KERNEL(conv_finish, 256)(
    f16* y, const float* partial, const float* scale, const float* noise, const float* bias, const f16* addend, int batch,
    int area, int outputs, int splits, int noise_batch, float strength, float slope, float gain, float limit
) {
    const long long count = static_cast<long long>(batch) * area * outputs;
    const long long i = static_cast<long long>(blockIdx.x) * 256 + threadIdx.x;
    if (i >= count) return;
    float sum = 0;
    for (int split = 0; split < splits; split++) sum += partial[split * count + i];
    const int output = static_cast<int>(i % outputs), pixel = static_cast<int>(i / outputs % area);
    const int sample = static_cast<int>(i / outputs / area);
    float v = sum * scale[sample * outputs + output];
    if (noise) v += noise[(noise_batch > 1 ? sample : 0) * static_cast<long long>(area) + pixel] * strength;
    if (bias) v += bias[output];
    if (addend) v += to_float(addend[i]);
    y[i] = to_half(finished(v, Finish{slope, gain, limit}));
}

// The same epilogue for halves that another library convolved.
KERNEL(conv_finish_half, 256)(
    f16* y, const f16* raw, const float* scale, const float* noise, const float* bias, const f16* addend, int batch,
    int area, int outputs, int noise_batch, float strength, float slope, float gain, float limit
) {
    const long long i = static_cast<long long>(blockIdx.x) * 256 + threadIdx.x;
    if (i >= static_cast<long long>(batch) * area * outputs) return;
    const int output = static_cast<int>(i % outputs), pixel = static_cast<int>(i / outputs % area);
    const int sample = static_cast<int>(i / outputs / area);
    float v = to_float(raw[i]) * scale[sample * outputs + output];
    if (noise) v += noise[(noise_batch > 1 ? sample : 0) * static_cast<long long>(area) + pixel] * strength;
    if (bias) v += bias[output];
    if (addend) v += to_float(addend[i]);
    y[i] = to_half(finished(v, Finish{slope, gain, limit}));
}
