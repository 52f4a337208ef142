// Edits of W+ in place, one after the other: w = w + (strength unit - reads (w[0] . probe - offset)) step.
//
// codes: [N, rows, dim]. strengths: [N, .], one face's begin ``pitch`` after the other's; an edit of strength 0 does
// nothing. count: how many edits there are, at most the room. numbers: [room, 3], unit, reads (1 where the strength is a
// place to go to, else 0), offset. probe: [room, dim]. step: [room, rows, dim]. One block a face.
#include "common.h"

constexpr int WARPS = 8;

KERNEL(edit_codes, 256)(
    float* codes, const float* strengths, const int* count, const float* numbers, const float* probe, const float* step,
    int pitch, int size, int dim
) {
    SHARED(memory);
    float* const sums = reinterpret_cast<float*>(memory);
    float* const mine = codes + static_cast<long long>(blockIdx.x) * size;
    for (int e = 0; e < count[0]; e++) {
        const float strength = strengths[static_cast<long long>(blockIdx.x) * pitch + e];
        if (strength == 0) continue;
        float amount = strength * numbers[3 * e];
        if (numbers[3 * e + 1] != 0) {
            float sum = 0;
            for (int i = threadIdx.x; i < dim; i += 256) sum += mine[i] * probe[e * dim + i];
            sum = warp_sum(sum);
            if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
            __syncthreads();
            sum = 0;
            for (int warp = 0; warp < WARPS; warp++) sum += sums[warp];
            amount -= sum - numbers[3 * e + 2];
        }
        for (int i = threadIdx.x; i < size; i += 256) mine[i] += amount * step[static_cast<long long>(e) * size + i];
        __syncthreads();
    }
}
