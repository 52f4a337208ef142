// From the parameter vector to what the distance field needs, and to the tracked points. Plain floats, host side.
#pragma once
#include <cmath>
#include <cstring>
#include "world.h"

static inline Rotation rotation_of(float yaw, float pitch, float roll) {  // Rz(roll) Rx(pitch) Ry(yaw)
    float cy = cosf(yaw), sy = sinf(yaw), cp = cosf(pitch), sp = sinf(pitch), cr = cosf(roll), sr = sinf(roll);
    Rotation r = {{cr * cy - sr * sp * sy, -sr * cp, cr * sy + sr * sp * cy,
                   sr * cy + cr * sp * sy, cr * cp, sr * sy - cr * sp * cy,
                   -cp * sy, sp, cp * cy}};
    return r;
}
static inline Uniform apply(const Rotation& r, float x, float y, float z) {
    Uniform u = {r.m[0] * x + r.m[1] * y + r.m[2] * z, r.m[3] * x + r.m[4] * y + r.m[5] * z, r.m[6] * x + r.m[7] * y + r.m[8] * z};
    return u;
}
static inline float positive(float x) { return x > 0 ? x : 0; }

static inline Head head_of(const Parameters& q) {
    Head h;
    memset(&h, 0, sizeof h);
    h.p = q;
    h.head = rotation_of(q.yaw, q.pitch, q.roll);
    h.torso = rotation_of(.30f * q.yaw, .12f * q.pitch, .22f * q.roll);
    h.joint = apply(h.head, 0, -.92f, -.12f);
    float styled = q.domain_clay + q.domain_comic + q.domain_natural, share = styled > 1 ? 1 / styled : 1;
    h.clay = share * q.domain_clay;
    h.comic = share * q.domain_comic;
    h.natural = share * q.domain_natural;
    h.squash = 1 - .08f * h.natural;
    h.eye.x = -.02f * h.head.m[3] + 5.2f * h.head.m[6];   // trace() in world.h, unrotated
    h.eye.y = -.02f * h.head.m[4] + 5.2f * h.head.m[7];
    h.eye.z = -.02f * h.head.m[5] + 5.2f * h.head.m[8];
    h.eye.x *= 1 / h.squash;
    h.child = clampu((.30f - q.age) / .30f, 0, 1);
    h.elder = clampu((q.age - .45f) / .55f, 0, 1);
    h.face_length = q.face_length * (1 - .14f * h.child) * (1 + .05f * h.natural);
    h.jaw = q.jaw_width * mixu(1.10f, .95f, q.femininity) * (1 - .03f * h.child);
    h.neck = mixu(.365f + .03f * h.natural, .275f + .03f * h.natural, q.femininity) * (1 - .21f * h.child);
    h.eye_x = .325f * q.eye_distance;
    h.eye_y = .03f - .10f * h.child;
    h.eye_radius = .212f * q.eye_size * mixu(.97f, 1.07f, q.femininity) * (1 + .14f * h.child - .10f * h.elder) * (1 - .17f * h.natural);
    h.lid_high = mixu(.61f, .47f, h.natural);
    h.lid_low = mixu(-.50f, -.40f, h.natural);
    h.iris = mixu(.62f, .44f, h.natural);
    h.eye_z = .795f - h.eye_radius - .02f;
    h.nose_y = -.175f * q.nose_length * (1 - .25f * h.child) - .01f + .005f * h.child - .045f * h.elder - .075f * h.natural * (1 - .5f * h.child);
    // Lips that smile or are raised show the teeth; those that speak hide most of them, pursed ones all.
    float smile = clampu(.45f * (q.corner_l + q.corner_r) + .6f * positive(q.mouth_wide) + .9f * q.lip_upper, 0, 1);
    h.teeth = mixu(.016f, .068f + .016f * q.jaw_open, smile) - .030f * positive(-q.mouth_wide);
    float friendly = .16f - .10f * h.elder;   // a face at rest
    h.p.corner_l += friendly;
    h.p.corner_r += friendly;
    float lowered = 1 - .4f * h.natural;      // no further than to the lids, which lie closer
    h.p.brow_l *= h.p.brow_l < 0 ? lowered : 1;
    h.p.brow_r *= h.p.brow_r < 0 ? lowered : 1;
    h.p.nose_tip *= 1 + .16f * h.elder;       // cartilage grows all life long
    h.p.nose_width *= 1 + .10f * h.elder;
    h.p.ear_size *= 1 + .18f * h.elder;
    h.p.nose_tip *= 1 - .14f * h.child;
    h.p.chin *= 1 - .12f * h.child;
    h.p.cheeks *= 1 + .14f * h.child;
    h.mouth_y = -mixu(.475f, .520f, h.natural) * h.face_length;
    float pucker = positive(-q.mouth_wide), wide = positive(q.mouth_wide);
    h.mouth_half = .265f * q.mouth_width * (1 + .26f * wide) * (1 - .46f * pucker) * (1 - .10f * q.jaw_open) * (1 - .14f * h.child);
    h.rounded = .35f + .45f * clampu(pucker + .3f * q.jaw_open, 0, 1);
    h.gap_upper = .045f * q.jaw_open + .05f * q.lip_upper;
    h.gap_lower = .255f * q.jaw_open + .05f * q.lip_lower;
    float full = q.lip_thickness * mixu(.86f, 1.14f, q.femininity) * (1 - .42f * h.elder) * (1 - .16f * wide + .35f * pucker);
    h.lip_upper = .054f * full;
    h.lip_lower = .074f * full;
    h.brow_y = h.eye_y + h.eye_radius + mixu(.030f, .024f, h.natural) + .05f * q.brow_height - .012f * h.elder;
    h.brow_thick = .034f * q.brow_thickness * mixu(1.15f, .72f, q.femininity) * (1 - .35f * h.child) * (1 + h.elder * mixu(.50f, .10f, q.femininity));
    // hair style: blend of presets, so that the amount of a style can be animated
    struct Preset { float amount, top, side, line, side_end, back_end, groove, curl, curtain, end, wave, parted, swept; };
    const Preset presets[] = {
        //  amount top  side  line side  back  groove curl curtain end wave parted swept
        {1, .035f, .022f, .56f, .06f, -.32f, .25f, 0, 0, 0, 0},          // buzz
        {1, .13f, .06f, .50f, .02f, -.42f, 1.f, 0, 0, 0, 0, 0, 1},       // short
        {1, .13f, .065f, .50f, .00f, -.42f, 1.f, 0, 0, 0, 0, 0, 1},      // side part
        {1, .13f, .045f, .57f, .03f, -.40f, 1.f, 0, 0, 0, 0},            // quiff
        {1, .17f, .12f, .50f, -.10f, -.50f, 0.f, 1.0f, 0, 0, 0},         // curly
        {1, .27f, .26f, .48f, -.12f, -.55f, 0.f, 1.25f, 0, 0, 0},        // afro
        {1, .13f, .11f, .52f, -.20f, -.60f, .9f, 0, 1, -.62f, .1f, 1},   // bob
        {1, .12f, .10f, .54f, -.20f, -.60f, .9f, 0, 1, -1.30f, .0f, 1},  // long
        {1, .15f, .13f, .54f, -.20f, -.60f, 1.f, 0, 1, -1.24f, 1.f, 1},  // wavy
        {1, .13f, .07f, .56f, -.06f, -.45f, 1.f, 0, 0, 0, 0},            // bun
        {1, .13f, .07f, .56f, -.06f, -.45f, 1.f, 0, 0, 0, 0},            // ponytail
        {1, .11f, .09f, .55f, -.18f, -.50f, 1.f, 0, 0, 0, 0, 1},         // braids
    };
    const float weights[] = {q.hair_buzz, q.hair_short, q.hair_side_part, q.hair_quiff, q.hair_curly, q.hair_afro, q.hair_bob, q.hair_long, q.hair_wavy, q.hair_bun, q.hair_ponytail, q.hair_braids};
    float sum = 1e-6f, fall = 0;
    for (float w : weights) sum += w;
    for (int i = 0; i < 12; i++) {
        const Preset& s = presets[i];
        float w = weights[i] / sum;
        h.cap_top += w * s.top; h.cap_side += w * s.side; h.hairline += w * s.line; h.side_end += w * s.side_end; h.back_end += w * s.back_end;
        h.groove += w * s.groove; h.curl += w * s.curl; h.curtain += w * s.curtain; h.curtain_end += w * s.end; h.wave += w * s.wave;
        fall += w * (s.parted * (1 - q.fringe) - s.swept);
    }
    h.parted = positive(fall);
    h.swept = positive(-fall);
    h.fall = fall > .15f ? PARTED : fall < -.15f ? SWEPT : h.curtain > .5f ? HANGING : COMBED;
    h.combed = (1 - h.parted) * (1 - h.swept) * (1 - h.curtain) * (1 - clampu(h.curl, 0, 1)) * (1 - q.fringe) * clampu(sum, 0, 1);
    h.cropped = q.hair_buzz / sum;
    h.hair_amount = sum > .05f ? 1 : 0;
    h.hat = q.hat_beanie > q.hat_cap ? q.hat_beanie : q.hat_cap;
    if (h.hat > .5f) {   // hair is flat under a hat
        h.cap_top = h.cap_top < .08f ? h.cap_top : .08f;
        h.p.hair_quiff = h.p.hair_side_part = h.p.hair_bun = 0;
    }
    h.hairline += .07f + .07f * h.elder * (1 - q.femininity);
    h.cap_top *= 1 - .25f * h.elder;   // hair thins
    return h;
}

// The tracked points in the head frame (the last four in the torso's, brought to the head frame through the joint), then
// posed and projected: rows of x, y (picture, -1..1, y up) and depth towards the camera (head units).
#define FACE_POINTS 44
// At rest four rows more follow: the numbers of the hair's shape, which tell where it begins and ends and how thick it is.
#define HAIR_ROWS 4
static inline int points_of(const Head& h, float* out, float* in_head) {
    const Parameters& q = h.p;   // corners include the friendly rest
    int n = 0;
    auto add = [&](float x, float y, float z, bool torso = false) {
        Uniform u;
        x *= h.squash;
        if (torso) {
            u = apply(h.torso, x, y + .92f, z + .12f);
            u.x += h.joint.x; u.y += h.joint.y; u.z += h.joint.z;
        } else u = apply(h.head, x, y, z);
        if (in_head) { in_head[n * 3] = x; in_head[n * 3 + 1] = y; in_head[n * 3 + 2] = z; }
        // the camera of trace(): at (0, -.02, 5.2), centre of view tilted by -.03
        float depth = 5.2f - u.z;
        out[n * 3] = u.x / depth / VIEW;
        out[n * 3 + 1] = ((u.y + .02f) / depth + .03f) / VIEW;
        out[n * 3 + 2] = u.z;
        n++;
    };
    float R = h.eye_radius;
    for (int side = -1; side <= 1; side += 2) {
        float open = side > 0 ? q.eye_r : q.eye_l, squint = side > 0 ? q.squint_r : q.squint_l;
        float raise = side > 0 ? q.brow_r : q.brow_l, corner = side > 0 ? q.corner_r : q.corner_l;
        float x = side * h.eye_x, wide = clampu(open, 0, 1);
        float low = h.lid_low + .20f * squint, closed = low * .62f - .05f, high = h.lid_high - .14f * h.elder - .10f * squint + .30f * positive(open - 1);
        float up = mixu(closed, high, wide), down = mixu(closed, low, wide), droop = .045f * h.elder * wide;
        add(x, h.eye_y, h.eye_z + R);
        add(x, h.eye_y + R * up, h.eye_z + R * .85f);
        add(x, h.eye_y + R * down, h.eye_z + R * .85f);
        add(x - side * .5f * R, h.eye_y + R * (up * .65f + droop), h.eye_z + R * .8f);
        add(x + side * .5f * R, h.eye_y + R * (up * .65f + .5f * q.eye_tilt - droop), h.eye_z + R * .7f);
        add(x + R * .43f * q.gaze_x, h.eye_y + R * .36f * q.gaze_y, h.eye_z + R * .92f);
        add(x - side * R * .88f, h.eye_y - R * q.eye_tilt * .8f, h.eye_z + R * .5f);
        add(x + side * R * .84f, h.eye_y + R * q.eye_tilt * .8f, h.eye_z + R * .4f);
        float inner = h.brow_y + raise * .085f + q.brow_arch * .005f - q.furrow * .065f, middle = h.brow_y + raise * .097f + q.brow_arch * .075f - .018f, outer = h.brow_y + raise * .105f + q.brow_arch * .044f - .03f - .045f * h.elder;
        add(x - side * .205f, inner, .76f);
        add(x + side * .05f, middle, .72f);
        add(x + side * .225f, outer, .55f);
        float shift = .10f * q.mouth_shift;
        add(shift + side * h.mouth_half, h.mouth_y + corner * .13f - .03f * q.jaw_open, .66f);
        add(shift + side * h.mouth_half * .5f, h.mouth_y + corner * .0325f - .03f * q.jaw_open + h.gap_upper * .79f + h.lip_upper * .5f, .76f);
        add(shift + side * h.mouth_half * .5f, h.mouth_y + corner * .0325f - .03f * q.jaw_open - h.gap_lower * .79f - h.lip_lower * .5f, .74f);
        add(side * .56f * h.jaw, -.45f * h.face_length - .08f * q.jaw_open, .15f);
        add(side * (.42f + .04f * q.cheek_puff), -.25f + .035f * (q.corner_l + q.corner_r), .60f);
        add(side * .83f, -.05f, -.06f);
    }
    float shift = .10f * q.mouth_shift, line = h.mouth_y - .03f * q.jaw_open;
    add(0, h.nose_y, .95f);
    add(0, .08f, .76f);
    add(shift, line + h.gap_upper + .5f * h.lip_upper, .80f);
    add(shift, line - h.gap_lower - .5f * h.lip_lower, .78f);
    add(shift, -.69f * h.face_length - .17f - .20f * q.jaw_open, .38f);
    add(0, 1.0f, -.08f);
    add(0, .60f, .62f);
    for (int side = -1; side <= 1; side += 2) add(side * .33f, -1.15f, -.14f, true);
    add(0, -1.6f, -.05f, true);
    if (in_head) {
        const float hair[3 * HAIR_ROWS] = {h.cap_side, h.cap_top, h.hairline - .25f * q.fringe, h.side_end, h.back_end, q.fringe,
                                           h.p.hair_side_part - h.p.hair_quiff, h.hair_amount, h.parted - h.swept,
                                           h.curtain, h.curtain_end, h.wave};
        memcpy(in_head + 3 * n, hair, sizeof hair);
    }
    return n;
}
