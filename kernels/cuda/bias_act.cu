// Bias, activation, gain and clamp, one thread an element.
//
//   y[i] = clamp(act(x[i] + b[i / inner % channels], alpha) * gain)            limit < 0: no clamp
//
// inner: elements between two channels in memory; 1 when the channels are last.
#include "common.h"

enum Act { LINEAR, RELU, LRELU, TANH, SIGMOID, ELU, SELU, SOFTPLUS, SWISH };

DEVICE float activated(float v, int act, float alpha) {
    switch (act) {
        case RELU: return v < 0 ? 0.f : v;
        case LRELU: return v < 0 ? v * alpha : v;
        case TANH: return tanhf(v);
        case SIGMOID: return 1 / (1 + expf(-v));
        case ELU: return v < 0 ? expm1f(v) : v;
        case SELU: return 1.0507009873554804934193349852946f * (v < 0 ? 1.6732632423543772848170429916717f * expm1f(v) : v);
        case SOFTPLUS: return v > 20 ? v : log1pf(expf(v));
        case SWISH: return v / (1 + expf(-v));
        default: return v;
    }
}

template <class T>
DEVICE void bias_act(T* y, const T* x, const T* b, int count, int inner, int channels, int act, float alpha, float gain, float limit) {
    const int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= count) return;
    float v = load_float(x + i);
    if (b) v += load_float(b + i / inner % channels);
    v = activated(v, act, alpha) * gain;
    store_float(y + i, limit < 0 ? v : limited(v, -limit, limit));
}

KERNEL(bias_act_float, 256)(
    float* y, const float* x, const float* b, int count, int inner, int channels, int act, float alpha, float gain, float limit
) { bias_act(y, x, b, count, inner, channels, act, alpha, gain, limit); }

KERNEL(bias_act_half, 256)(
    f16* y, const f16* x, const f16* b, int count, int inner, int channels, int act, float alpha, float gain, float limit
) { bias_act(y, x, b, count, inner, channels, act, alpha, gain, limit); }
