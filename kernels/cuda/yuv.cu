// Camera pictures: NV12 and I420 to and from bytes BGR. One thread a block of 2 x 2 pixels, which share their colour.
//
//   y = offset + span (kr R + kg G + kb B),  u = 128 + cspan (B - luma) / (2 (1 - kb)),  v = 128 + cspan (R - luma) / (2 (1 - kr))
//
// coefficients: kr, kb, offset, span / 255, cspan / 255 (ITU-R BT.601 or BT.709, limited or full range).
// Planes: y [height, width], then NV12 uv [height / 2, width / 2, 2] or I420 u and v [height / 2, width / 2].
#include "common.h"

struct Coefficients { float kr, kb, offset, span, cspan; };

DEVICE u8 byte(float v) { return static_cast<u8>(limited(v + 0.5f, 0.f, 255.f)); }

DEVICE long long chroma(int height, int width, int planar, int row, int column, int which) {
    const long long area = static_cast<long long>(height) * width, at = static_cast<long long>(row) * (width / 2) + column;
    return planar ? area + which * (area / 4) + at : area + 2 * at + which;
}

KERNEL(yuv_to_bgr, 256)(
    u8* bgr, const u8* yuv, int height, int width, int planar, float kr, float kb, float offset, float span, float cspan
) {
    const int i = blockIdx.x * 256 + threadIdx.x, half = width / 2;
    if (i >= half * (height / 2)) return;
    const int row = i / half, column = i % half;
    const float u = (yuv[chroma(height, width, planar, row, column, 0)] - 128.f) / cspan;
    const float v = (yuv[chroma(height, width, planar, row, column, 1)] - 128.f) / cspan;
    const float blue = u * 2 * (1 - kb), red = v * 2 * (1 - kr), green = -(blue * kb + red * kr) / (1 - kb - kr);
    UNROLL for (int k = 0; k < 4; k++) {
        const long long at = static_cast<long long>(2 * row + k / 2) * width + 2 * column + k % 2;
        const float luma = (yuv[at] - offset) / span;
        bgr[3 * at] = byte(luma + blue), bgr[3 * at + 1] = byte(luma + green), bgr[3 * at + 2] = byte(luma + red);
    }
}

KERNEL(bgr_to_yuv, 256)(
    u8* yuv, const u8* bgr, int height, int width, int planar, float kr, float kb, float offset, float span, float cspan
) {
    const int i = blockIdx.x * 256 + threadIdx.x, half = width / 2;
    if (i >= half * (height / 2)) return;
    const int row = i / half, column = i % half;
    float blue = 0, red = 0, mean = 0;
    UNROLL for (int k = 0; k < 4; k++) {
        const long long at = static_cast<long long>(2 * row + k / 2) * width + 2 * column + k % 2;
        const float b = bgr[3 * at], g = bgr[3 * at + 1], r = bgr[3 * at + 2];
        const float luma = kr * r + (1 - kr - kb) * g + kb * b;
        yuv[at] = byte(offset + span * luma);
        blue += b / 4, red += r / 4, mean += luma / 4;
    }
    yuv[chroma(height, width, planar, row, column, 0)] = byte(128 + cspan * (blue - mean) / (2 * (1 - kb)));
    yuv[chroma(height, width, planar, row, column, 1)] = byte(128 + cspan * (red - mean) / (2 * (1 - kr)));
}
