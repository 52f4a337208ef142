// The head as a signed distance field and its shading. Head frame: x to the picture's right, y up, z to the camera,
// the origin in the middle of the skull, which is about 0.8 in radius. Needs gear.h, lanes.h, params.h and textures.h.
#pragma once
#include "gear.h"
#include "lanes.h"
#include "params.h"
#include "textures.h"

#define VIEW .31f   // half the picture over the distance to it
enum Material { NOTHING, SKIN, EYE, LASH, BROW, CAVITY, TEETH, TONGUE, HAIR, BEARD, CLOTH, GLASS, GEAR, METAL };
struct Hit { F distance, material; };
struct Uniform { float x, y, z; };
struct Rotation { float m[9]; };

// Everything that is the same for all rays of one picture.
struct Head {
    Parameters p;
    Rotation head, torso;       // head (torso) frame to camera frame
    Uniform joint;              // where the neck meets the torso, camera frame
    Uniform eye;                // the camera, head frame, in the toon's width
    float clay, comic, natural; // how it is drawn, together at most 1; the rest is toon
    float squash;               // width of everything over its width as a toon
    float child, elder;         // 0..1 from p.age
    float face_length, jaw, neck, eye_x, eye_y, eye_z, eye_radius, lid_high, lid_low, iris;
    float mouth_y, mouth_half, gap_upper, gap_lower, lip_upper, lip_lower, rounded, teeth;   // teeth: how far below mouth_y they reach
    float brow_y, brow_thick, nose_y, hair_amount, hat, cap_top, cap_side, hairline, side_end, back_end, groove, curl, curtain, curtain_end, wave, parted, swept;
    float combed, cropped;      // 1 for hair combed back from the forehead, 0 for what falls or stands; 1 for a buzz cut
    Fall fall;
};

FW V rotate(const Rotation& r, V p) {
    return vec(p.x * r.m[0] + p.y * r.m[1] + p.z * r.m[2], p.x * r.m[3] + p.y * r.m[4] + p.z * r.m[5],
               p.x * r.m[6] + p.y * r.m[7] + p.z * r.m[8]);
}
FW V unrotate(const Rotation& r, V p) {
    return vec(p.x * r.m[0] + p.y * r.m[3] + p.z * r.m[6], p.x * r.m[1] + p.y * r.m[4] + p.z * r.m[7],
               p.x * r.m[2] + p.y * r.m[5] + p.z * r.m[8]);
}
FW void include(Hit& h, F d, Material m) {
    M nearer = d < h.distance;
    h.distance = sel(nearer, d, h.distance);
    h.material = sel(nearer, bc((float)m), h.material);
}

FW float nose_width(const Head& h) { return .9f * h.p.nose_width * (1 - .18f * h.child) * (1 + .10f * h.natural); }
// ---- the skull without features: what brows and beards lie on
FW F skull(V p, V s, const Head& h) {
    const Parameters& q = h.p;
    F d = ellipsoid(shift(p, 0, .20f, -.08f), .80f, .80f + .03f * q.forehead, .84f + .025f * q.forehead);
    d = smooth_min(d, ellipsoid(shift(p, 0, -.22f * h.face_length, .12f), .66f * h.jaw, .58f * h.face_length, .63f), .30f);
    float drop = .20f * q.jaw_open;
    d = smooth_min(d, ellipsoid(shift(p, .10f * q.mouth_shift, -.69f * h.face_length - drop, .38f - .10f * q.jaw_open),
                                .24f * q.chin * h.jaw, .17f, .19f * q.chin), .28f);
    float lift = .035f * (q.corner_l + q.corner_r);
    float puff = .05f * q.cheek_puff - .03f * h.elder;
    float square = (1 - q.femininity) * (1 - h.child);   // the angles of a man's jaw
    if (square > .01f)
        d = smooth_min(d, ellipsoid(shift(s, .34f * h.jaw, -.48f * h.face_length - .5f * drop, .22f), .08f + .09f * square, .08f + .19f * square, .08f + .17f * square), .16f);
    if (h.elder > .01f)   // jowls
        d = smooth_min(d, ellipsoid(shift(s, (.28f + .06f * h.elder) * h.jaw, -.56f * h.face_length - .5f * drop, .30f), .11f + .07f * h.elder, .12f + .07f * h.elder, .11f + .07f * h.elder), .15f);
    d = smooth_min(d, ellipsoid(shift(s, .36f, -.25f - .05f * h.elder + lift, .43f - .02f * h.elder), (.20f + puff) * q.cheeks, (.18f + puff) * q.cheeks, (.21f + puff) * q.cheeks), .24f);
    d = smooth_min(d, ellipsoid(shift(s, .30f, .30f, .58f), .25f, .08f, .10f + .035f * (1 - q.femininity) * (1 - h.child)), .16f);
    return d;
}
// Lip line, edges of the opening and outer contours at x.
struct Mouth { F u, taper, upper, lower, top, bottom; };
FW Mouth mouth(F x, const Head& h) {
    const Parameters& q = h.p;
    Mouth m;
    F X = x - .10f * q.mouth_shift;
    m.u = clampf(X * (1.f / h.mouth_half), -1.2f, 1.2f);
    F u2 = m.u * m.u;
    m.taper = hi(1.f - u2, 0.f);
    F corner = mix(bc(q.corner_l), bc(q.corner_r), clampf(.5f + .5f * m.u, 0.f, 1.f));
    F line = h.mouth_y + corner * .13f * u2 - .03f * q.jaw_open;
    F open = mix(m.taper, root(m.taper), bc(h.rounded));
    m.upper = line + h.gap_upper * open;
    m.lower = line - h.gap_lower * open;
    F shape = root(m.taper);
    m.top = m.upper + h.lip_upper * shape * (1.f - .24f * exp_(m.u * m.u * -36.f));
    m.bottom = m.lower - h.lip_lower * shape;
    return m;
}
FW F lip_bump(F y, const Mouth& m, float jaw_open) {
    F a = clampf((m.top - y) / (m.top - m.upper + .004f), 0.f, 1.f), b = clampf((y - m.bottom) / (m.lower - m.bottom + .004f), 0.f, 1.f);
    F up = sel(y > m.upper, a * (2.f - a) * (1.f - .45f * step_smooth(.72f, 1.f, a)), bc(0.f));
    F down = sel(y < m.lower, b * (2.f - b) * (1.f - .45f * step_smooth(.72f, 1.f, b)), bc(0.f));
    return hi(up, down * (1.1f + .5f * jaw_open)) * root(m.taper);   // an open jaw takes the lower lip back with it
}
FW F brow_field(V s, F bones, F raise, const Head& h) {
    const Parameters& q = h.p;
    F t = (s.x - (h.eye_x - .205f)) * (1.f / .43f);       // 0 inner end, 1 outer end
    F c = clampf(t, 0.f, 1.f);
    F line = h.brow_y + raise * (.085f + .02f * c) + q.brow_arch * .075f * (1.f - (c - .60f) * (c - .60f) * 2.6f) - .03f * c - .06f * h.elder * c * c
             - q.furrow * .065f * (1.f - c) * (1.f - c);
    F half = h.brow_thick * (.75f + .55f * c - 1.05f * c * c);
    F d2 = root((s.y - line) * (s.y - line) + (t - c) * (t - c) * .18f) - half;
    return smooth_max(bones - mixu(.026f, .014f, h.natural) - .014f * h.elder * (1 - q.femininity), d2, .025f);
}
// The eyelid opening on the unit eyeball: positive inside. u, v: place on the eyeball, u outward.
struct Lids { F upper, lower; };
FW Lids lids(F u, F open, F squint, const Head& h) {
    F c = 1.f - u * u * 1.28f - .10f * u;
    Lids l;
    F low = c * (h.lid_low + .20f * squint), closed = low * .62f - .05f;
    F wide = clampf(open, 0.f, 1.f);
    F high = c * (h.lid_high - h.elder * (.14f + .14f * u) - .10f * squint + .30f * hi(open - 1.f, 0.f));
    l.lower = mix(closed, low, wide);
    l.upper = mix(closed, high, wide);
    return l;
}

// Where the sight of a point meets the smooth body that freckles are painted on: engines/freckle_maps.py knows that body
// and no other, and so has every spot where it is drawn. Seen from aside they lie a little off the skin.
FW V before_skin(V p, const Uniform& eye) {
    V d = vec(p.x - eye.x, p.y - eye.y, p.z - eye.z);
    float ox = eye.x * (1 / .75f), oy = (eye.y + .20f) * (1 / .70f), oz = (eye.z - .10f) * (1 / .76f);
    F dx = d.x * (1 / .75f), dy = d.y * (1 / .70f), dz = d.z * (1 / .76f);
    F a = dx * dx + dy * dy + dz * dz, b = dx * ox + dy * oy + dz * oz;
    float c = ox * ox + oy * oy + oz * oz - 1.f;
    F t = (-b - root(hi(b * b - a * c, bc(0.f)))) / a;
    return vec(eye.x + d.x * t, eye.y + d.y * t, eye.z + d.z * t);
}
FW F ridge(F across, float width) { return exp_(across * across * (-1.f / (width * width))); }
// Lines of old age, 0..1: across the forehead (they rise with the brows), beside the eyes, under their bags, from the
// nose past the mouth's corners, and from those down to the jaw.
FW F wrinkles(V p, V s, F raise, const Head& h) {
    const Parameters& q = h.p;
    F above = p.y - h.brow_y - .06f * raise - .02f * sin_(s.x * 6.f);
    F line = ridge(above - .075f, .011f) + .9f * ridge(above - .15f, .011f) + .7f * ridge(above - .225f, .011f);
    line = line * step_smooth(.42f, .22f, s.x);
    F out = s.x - h.eye_x - .70f * h.eye_radius, up = p.y - h.eye_y - .02f, far = root(out * out + up * up);
    F turn = atan2_(up, out);
    F feet = ridge((turn - .48f) * far, .011f) + ridge(turn * far, .011f) + ridge((turn + .48f) * far, .011f);
    line = hi(line, .75f * feet * step_smooth(.08f, .12f, far) * step_smooth(.21f, .13f, far) * step_smooth(.0f, .05f, out));
    F bag = root((s.x - h.eye_x) * (s.x - h.eye_x) * .62f + (p.y - h.eye_y - .02f) * (p.y - h.eye_y - .02f)) - 1.22f * h.eye_radius;
    line = hi(line, ridge(bag, .014f) * step_smooth(-.04f, -.14f, p.y - h.eye_y) * step_smooth(.24f, .14f, absf(s.x - h.eye_x)));
    F beside = s.x - (.11f * nose_width(h) + .045f + .66f * (h.nose_y + .02f - p.y));
    line = hi(line, ridge(beside, .019f) * step_smooth(h.mouth_y - .05f, h.mouth_y + .04f, p.y) * step_smooth(h.nose_y + .05f, h.nose_y - .02f, p.y));
    F below = s.x - (1.04f * h.mouth_half + .30f * (h.mouth_y - p.y));
    float sunk = h.mouth_y - .05f * q.jaw_open;
    line = hi(line, .65f * ridge(below, .015f) * step_smooth(sunk - .22f, sunk - .10f, p.y) * step_smooth(sunk, sunk - .06f, p.y));
    return clampf(line, 0.f, 1.f) * step_smooth(.15f, .30f, p.z);
}

// The two upright lines between furrowed brows.
FW F frown_lines(V s) {
    F aside = s.x - .055f;
    return exp_(aside * aside * -2200.f) * step_smooth(.10f, .20f, s.y) * step_smooth(.46f, .32f, s.y);
}
FW F groove_field(V p, const Head& h) {
    float fine = 1 - .8f * h.clay - .6f * h.comic + .25f * h.natural;   // clay is rolled, ink is bold
    if (h.curl > .01f) {
        V c = curl_place(p);
        return h.curl * (.062f * (1 + .25f * h.clay) * gyroid(c, CURLS) + .022f * fine * gyroid(c, FINE_CURLS));
    }
    Strands s = strands(p, h.fall);
    float flat = 1 - .60f * h.combed;   // what is combed back lies close
    F g = (.012f * flat * (1 - .65f * h.natural)) * sin_(s.coarse) + (.006f * fine * flat) * sin_(s.fine) + .010f * s.warp;
    if (h.clay > .01f) g = g + h.clay * (flat + .2f * h.combed) * (.050f * absf(sin_(s.coarse * .5f)) - .032f);
    F top = mix(bc(1.f), step_smooth(.05f, .50f, p.y), bc(.7f * h.swept));   // swept hair is short at the sides
    return h.groove * top * g;
}
// How far below the hair's edge a point is: positive where there is no hair.
FW F bare(V p, const Head& h) {
    const Parameters& q = h.p;
    F ax = absf(p.x);
    float line = h.hairline - .25f * q.fringe;
    F front = line + .10f * q.hair_side_part * p.x - .16f * (1.f - q.fringe) * ax * ax - .30f * step_smooth(.46f, .70f, ax)
              + q.fringe * .016f * sin_(p.x * 21.f + 1.f) + .030f * sin_(p.x * 7.f + 2.f) * (1.f - q.fringe);
    if (h.parted > .01f) {   // falls from the parting to both temples
        F away = from_parting(p);
        front = mix(front, h.hairline + .11f - away * (.26f + .95f * away), bc(h.parted));
    }
    if (h.swept > .01f) front = front + h.swept * (1.f - q.fringe) * .030f * sin_(strands(p, SWEPT).coarse);   // tufts
    F side = bc(h.side_end), back = bc(h.back_end);
    F y = mix(front, side, step_smooth(.40f, .12f, p.z));
    y = mix(y, back, step_smooth(-.08f, -.30f, p.z));
    return y - p.y;
}
FW_CALL F hair_field(V p, V s, const Head& h, bool fine) {
    const Parameters& q = h.p;
    F g = fine ? groove_field(p, h) : bc(0.f);
    F cap = ellipsoid(shift(p, 0, .21f, -.10f), .81f + h.cap_side, .80f + h.cap_top, .85f + .6f * h.cap_top + .4f * h.cap_side) - g;
    if (h.parted > .01f) {
        F away = from_parting(p) * (1.f / .075f);
        cap = cap + h.parted * .05f * exp_(-away * away) * step_smooth(.30f, .55f, p.y) * step_smooth(-.60f, -.20f, p.z);
    }
    F none = bare(p, h);
    if (h.combed > .01f) cap = cap + h.combed * .9f * (.6f * h.cap_top < h.cap_side ? .6f * h.cap_top : h.cap_side) * exp_(none * (1.f / .20f));   // it rises from the skin
    F d = smooth_max(cap, none * .75f, h.curl > .01f ? .14f : .07f);
    if (q.hair_quiff > .01f) {
        F v = ellipsoid(shift(p, .06f, .92f, .38f), .58f, .26f * q.hair_quiff + .02f, .36f) - g * 1.3f;
        d = smooth_min(d, v, .16f);
    }
    if (q.hair_side_part > .01f) {
        F v = ellipsoid(shift(p, .20f, .90f, .28f), .56f, .20f * q.hair_side_part + .02f, .46f) - g;
        d = smooth_min(d, v, .16f);
        F parting = root((p.x + .34f) * (p.x + .34f) + hi(.72f - p.y, 0.f) * hi(.72f - p.y, 0.f)) + .004f;
        d = smooth_max(d, -parting, .05f);
    }
    if (q.hair_bun > .01f) d = smooth_min(d, length(shift(p, 0, 1.14f, -.28f)) - .28f * q.hair_bun - g, .07f);
    if (q.hair_ponytail > .01f) {
        float sway = .05f;
        F tail = smooth_min(capsule(p, 0, .55f, -.95f, sway, .10f, -1.22f, .16f, .21f), capsule(p, sway, .10f, -1.22f, .22f, -.75f, -1.0f, .21f, .07f), .08f);
        d = smooth_min(d, tail - g, .06f);
    }
    if (h.curtain > .01f) {   // a bell around the head, open in front
        F w = h.wave * (.045f * sin_(p.y * 9.f + s.x * 3.f + 1.f));
        float rx = .80f + h.cap_side * .55f, rz = .76f + h.cap_side * .5f;
        F z = p.z + .14f;
        F r = root(p.x * p.x * (1 / (rx * rx)) + z * z * (1 / (rz * rz)));
        F flare = .07f * step_smooth(.25f, -.8f, p.y) - .10f * (1.f - h.wave) * step_smooth(h.curtain_end + .30f, h.curtain_end - .10f, p.y);
        F shell = absf((r - 1.f) * .78f - flare - w) - .10f;
        F top = p.y - .50f, bottom = h.curtain_end + .05f * sin_(atan2_(p.x, z) * 9.f) - p.y;
        F face = p.z - (.34f - .16f * step_smooth(-.1f, -.9f, p.y)) - .25f * step_smooth(.66f, .40f, s.x);
        F hang = smooth_max(smooth_max(shell - g, face, .16f), smooth_max(top * .6f, bottom, .05f), .14f);
        d = smooth_min(d, hang, .16f);
    }
    if (q.hair_braids > .01f) {
        F t = clampf((.05f - p.y) * (1.f / 1.25f), 0.f, 1.f);
        F cx = .82f + .06f * t - .14f * t * t, cz = -.12f + .42f * t;
        F bumps = .022f * absf(sin_(p.y * 13.f)) - .01f;
        F r = root((s.x - cx) * (s.x - cx) + (p.z - cz) * (p.z - cz)) - (.135f - .05f * t * t) - bumps - g * .6f;
        F braid = smooth_max(r * .85f, smooth_max(p.y - .12f, -1.16f - p.y, .06f), .06f);
        d = smooth_min(d, braid * (1.f / hi(bc(q.hair_braids), .2f)), .08f);
    }
    return d;
}

FW_CALL F torso_field(V pt, V st, const Head& h) {
    const Parameters& q = h.p;
    float wide = mixu(1.12f, .96f, q.femininity) * (1 - .24f * h.child);
    F d = ellipsoid(shift(pt, 0, -2.02f, -.22f), wide * 1.10f, .62f, .50f);
    d = smooth_min(d, ellipsoid(shift(st, wide * .86f, -1.86f, -.24f), .36f, .36f, .34f), .25f);
    d = smooth_min(d, capsule(pt, 0, -1.30f, -.16f, 0, -1.62f, -.18f, .33f, .52f), .26f);
    if (q.collar > .75f) d = smooth_min(d, capsule(pt, 0, -1.02f, -.14f, 0, -1.30f, -.16f, h.neck + .055f, h.neck + .095f), .06f);
    else {
        V c = shift(pt, 0, -1.28f, -.12f);
        F y = c.y - .28f * c.z * -1.f * .5f;
        F ring = root(c.x * c.x + c.z * c.z) - .43f;
        float thick = q.collar > .25f ? .085f : .040f;
        d = smooth_min(d, root(ring * ring + (y + thick) * (y + thick) * .8f) - thick, .05f);
        if (q.collar > .25f) d = smooth_min(d, ellipsoid(shift(pt, 0, -1.20f, -.52f), .44f, .20f, .20f), .10f);
    }
    return d;
}

FW V in_head(V camera, const Head& h) {
    V p = unrotate(h.head, camera);
    p.x = p.x * (1 / h.squash);
    return p;
}
// Modelling clay: lumps as left by thumbs.
FW F clay_relief(V p) {
    return .010f * sin_(p.x * 7.f + 1.5f * sin_(p.y * 4.f)) * sin_(p.y * 6.f + p.z * 4.f + 1.f) + .004f * gyroid(p, 11.f);
}
// ---- the whole: distance and material at points given in the camera frame
FW_CALL Hit world(V camera, const Head& h, bool fine) {
    const Parameters& q = h.p;
    Hit hit = {bc(1e9f), bc(0.f)};
    V p = in_head(camera, h), s = vec(absf(p.x), p.y, p.z);
    M right = p.x > 0.f;
    V pt = unrotate(h.torso, shift(camera, h.joint.x, h.joint.y, h.joint.z));
    pt = vec(pt.x * (1 / h.squash), pt.y - .92f, pt.z - .12f);
    V st = vec(absf(pt.x), pt.y, pt.z);
    F bones = skull(p, s, h);
    F d = bones;
    // nose
    float ny = h.nose_y, nw = nose_width(h), nat = h.natural, nostril = 1 + .35f * nat;
    d = smooth_min(d, capsule(p, 0, .08f, .70f, 0, ny + .03f, .87f + .03f * q.nose_tip, .055f - .008f * nat, (.075f - .008f * nat) * nw), .14f - .03f * nat);
    d = smooth_min(d, length(shift(p, 0, ny, .88f + .05f * q.nose_tip)) - (.085f - .008f * nat) * nw * q.nose_tip, .07f);
    d = smooth_min(d, ellipsoid(shift(s, .088f * nw, ny - .025f, .845f), .055f * nw, .048f, .06f), .05f);
    d = smooth_max(d, -(ellipsoid(shift(s, .048f * nw, ny - .075f, .885f), .026f * nw * nostril, .020f * nostril, .04f)), .03f);
    // ears
    {
        V e = shift(s, .80f, -.05f, -.06f);
        V r = vec((e.x * .90f + e.z * .43f) * (1 / q.ear_size), e.y * (1 / q.ear_size), (e.z * .90f - e.x * .43f) * (1 / q.ear_size));
        F ear = ellipsoid(r, .060f, .195f, .135f);
        F bowl = ellipsoid(shift(r, .055f, .015f, .02f), .05f, .125f, .078f);
        ear = smooth_max(ear, -bowl, .045f);
        ear = smooth_min(ear, ellipsoid(shift(r, .035f, -.01f, -.01f), .022f, .05f, .03f), .04f);
        d = smooth_min(d, ear * q.ear_size, .05f);
    }
    // neck: from the head's frame into the torso's
    float nr = h.neck;
    F neck = capsule(p, 0, -.45f, -.10f, 0, -.92f, -.12f, nr, nr * .98f);
    neck = smooth_min(neck, capsule(pt, 0, -.90f, -.12f, 0, -1.5f, -.16f, nr * .98f, nr * 1.22f < .405f ? nr * 1.22f : .405f), .10f);
    d = smooth_min(d, neck, .12f);
    // sockets and the mouth
    F open = sel(right, bc(q.eye_r), bc(q.eye_l)), squint = sel(right, bc(q.squint_r), bc(q.squint_l));
    V e = shift(s, h.eye_x, h.eye_y, h.eye_z);
    F eye_length = length(e), R = bc(h.eye_radius);
    d = smooth_max(d, -(length(shift(s, h.eye_x, h.eye_y, 1.03f)) - .25f - .015f * h.elder), .18f);
    d = smooth_max(d, -(eye_length - h.eye_radius * .97f), .02f);
    M front = p.z > .25f;
    Mouth m = mouth(p.x, h);
    F skin_material = bc((float)SKIN);
    if (any_of(front)) {
        F off = hi(p.y - h.mouth_y, lo(p.y - h.mouth_y + h.gap_lower, 0.f));   // an open mouth takes the muzzle down
        F muzzle = exp_(((p.x * p.x) * 9.f + off * off * 12.f) * -1.f) * (.045f - .03f * q.mouth_wide * .5f + .03f * q.jaw_open * step_smooth(.10f, -.30f, p.y - h.mouth_y));
        F bump = (.050f + .045f * hi(bc(-q.mouth_wide), 0.f)) * lip_bump(p.y, m, q.jaw_open);
        F philtrum = .012f * exp_(p.x * p.x * -900.f) * step_smooth(h.mouth_y + .03f, h.mouth_y + .08f, p.y) * step_smooth(ny - .03f, ny - .10f, p.y);
        F chin_crease = .018f * exp_((p.y - m.bottom + .055f) * (p.y - m.bottom + .055f) * -500.f) * m.taper;
        F crease = bc(0.f);
        float fold = .16f * nat * (1 - h.child) + .10f * (q.corner_l + q.corner_r > 0 ? .5f * (q.corner_l + q.corner_r) : 0);
        if (fold > .02f) {
            F nl = s.x - (.19f + .34f * (ny + .02f - p.y));
            crease = fold * .045f * exp_(nl * nl * -700.f) * step_smooth(h.mouth_y - .12f, h.mouth_y + .02f, p.y) * step_smooth(ny + .05f, ny - .04f, p.y);
        }
        if (h.elder > .1f) {
            crease = crease + h.elder * .020f * wrinkles(p, s, sel(right, bc(q.brow_r), bc(q.brow_l)), h);
        }
        F frown = q.furrow * .018f * frown_lines(s);
        d = d + step_smooth(.25f, .40f, p.z) * (philtrum + chin_crease + crease + frown - muzzle - bump);   // no step on the neck
        if (h.gap_upper + h.gap_lower > .004f) {
            F inside = hi(hi(p.y - m.upper, m.lower - p.y), absf(m.u) * h.mouth_half - h.mouth_half);
            F carved = -hi(inside * .8f, .30f - p.z);
            skin_material = sel(carved > d + .004f, bc((float)CAVITY), skin_material);
            d = smooth_max(d, carved, .02f);
        }
    }
    // eyelids
    {
        F u = e.x * (1 / h.eye_radius), tilt = q.eye_tilt * u, v = e.y * (1 / h.eye_radius) - tilt;
        Lids l = lids(u, open, squint, h);
        F shell = absf(eye_length - (h.eye_radius + .016f)) - .017f;
        F cut = lo(l.upper - v, v - l.lower) * h.eye_radius;
        F lid = smooth_max(smooth_max(shell, cut * .8f, .014f), -e.z - .02f, .02f);
        d = smooth_min(d, lid, .045f);
        F lash_size = bc(.010f + .010f * q.femininity + .006f * q.make_up);
        F edge = root(((l.upper - v) * h.eye_radius) * ((l.upper - v) * h.eye_radius) * .75f + (eye_length - h.eye_radius - .030f) * (eye_length - h.eye_radius - .030f));
        F ends = absf(u + .04f) - .88f - .10f * q.femininity;
        F lash = hi(edge - lash_size * (.55f + .45f * clampf(u + .5f, 0.f, 1.2f)), hi(ends * h.eye_radius, .02f - e.z));
        include(hit, d, SKIN);
        hit.material = sel(hit.material == bc((float)SKIN), skin_material, hit.material);
        include(hit, lash, LASH);
        include(hit, eye_length - R, EYE);
    }
    if (any_of((p.y > h.eye_y) & (p.z > .3f))) {
        F raise = sel(right, bc(q.brow_r), bc(q.brow_l));
        include(hit, sel(p.z > .25f, brow_field(s, bones, raise, h), bc(1e9f)), BROW);
    }
    if (h.gap_upper + h.gap_lower > .004f && any_of(front)) {
        F arch = .70f - .95f * p.x * p.x;
        F row = hi(p.y - h.mouth_y - .056f, h.mouth_y - h.teeth - p.y);
        F teeth = hi(hi(row, absf(p.z - arch + .03f) - .065f), hi(s.x - .25f, bones + .010f));
        F beyond = hi(hi(p.y - m.upper, m.lower - p.y) - .012f, absf(m.u) * h.mouth_half - h.mouth_half);   // behind the lips
        teeth = hi(teeth, beyond);
        float lower_line = h.mouth_y - .03f * q.jaw_open - h.gap_lower;   // the lower teeth show with the upper ones
        F lower_teeth = hi(hi(absf(p.y - lower_line + .059f - .5f * h.teeth) - .040f, absf(p.z - arch + .06f + .14f * q.jaw_open) - .03f), hi(hi(s.x - .22f, bones + .03f), beyond));
        include(hit, lo(teeth, lower_teeth), TEETH);
        // Within the mouth, but as far as it is put out.
        F tongue = ellipsoid(shift(p, .10f * q.mouth_shift, lower_line + .025f + .03f * q.tongue, .54f - .24f * q.jaw_open * (1 - q.tongue) + .24f * q.tongue), .16f, .055f, .22f);
        include(hit, hi(tongue, beyond - .25f * clampu(3 * q.tongue, 0, 1)), TONGUE);
    }
    // hair, beard, glasses, clothes: only where they can be nearest
    if (h.hair_amount > .01f) {
        F bound = length(shift(p, 0, .1f, -.2f)) - 1.55f;
        if (any_of(bound < hit.distance)) {
            F hair = hair_field(p, s, h, fine);
            if (h.hat > .01f) hair = smooth_max(hair, (p.y - hem(p) - .03f) * .9f, .02f);   // what is under a hat stays there
            include(hit, hair, HAIR);
        }
    }
    if (h.hat > .5f && any_of(length(shift(p, 0, .35f, .05f)) - 1.35f < hit.distance)) include(hit, hat_field(p, s, q, fine), GEAR);
    if (q.headphones > .5f && any_of(length(shift(p, 0, .25f, -.05f)) - 1.2f < hit.distance)) include(hit, headphones_field(p, s), GEAR);
    if (q.earrings > .5f && any_of(.74f - s.x < hit.distance)) include(hit, earrings_field(s), METAL);
    float chin_hair = q.beard > q.goatee ? q.beard : q.goatee;
    if (chin_hair > .02f && any_of((bones < hit.distance + .2f) & (p.y < .1f) & (p.z > -.3f))) {
        F fluff = fine ? .009f * gyroid(fluff_place(p), FLUFF) + .006f * gyroid(fluff_place(p), FINE_FLUFF) : bc(0.f);
        F jaw_line = h.mouth_y + .02f + .40f * step_smooth(.30f, .74f, s.x);
        F region = hi(p.y - jaw_line, -(p.z + .12f));
        F lips = 1.f - root(m.u * m.u * .85f + ((p.y - h.mouth_y + h.gap_lower * .4f) * (p.y - h.mouth_y + h.gap_lower * .4f)) * (1.f / ((.10f + h.gap_lower * .55f) * (.10f + h.gap_lower * .55f))));
        region = smooth_max(region, lips * .12f, .04f);
        F full = smooth_max(bones - (.035f + .045f * q.beard) * (1.f - .65f * step_smooth(.42f, .72f, s.x)) - fluff, region, .09f);
        F below = p.y - h.mouth_y + .15f + .5f * h.gap_lower;
        F patch = (root(s.x * s.x * (1 / .034f) + below * below * (1 / .078f)) - 1.f) * .17f;
        F small = smooth_max(bones - .035f - .05f * q.goatee - fluff, smooth_max(region, patch, .05f), .07f);
        F d_beard = bc(1e9f);
        if (q.beard > .02f) d_beard = lo(d_beard, full);
        if (q.goatee > .02f) d_beard = lo(d_beard, small);
        include(hit, d_beard, BEARD);
    }
    if (q.moustache > .02f && any_of(front)) {
        F top = m.top;
        F t = clampf(s.x * (1.f / (h.mouth_half * 1.02f)), 0.f, 1.f);
        F line = mix(bc(.5f * (h.mouth_y + ny) - .035f), h.mouth_y - .01f + .05f * (q.corner_l + q.corner_r) * t, t * t) + .25f * (top - h.mouth_y) * (1.f - t);
        F half = .042f * q.moustache * (1.f - .55f * t * t);
        F fluff = fine ? .011f * gyroid(fluff_place(p), FINE_FLUFF) : bc(0.f);
        F d2 = root((p.y - line) * (p.y - line) + hi(s.x - h.mouth_half * 1.02f, 0.f) * hi(s.x - h.mouth_half * 1.02f, 0.f)) - half;
        include(hit, sel(front, smooth_max(bones - .075f - fluff, d2, .04f), bc(1e9f)), BEARD);
    }
    float glasses = q.glasses_round > q.glasses_square ? q.glasses_round : q.glasses_square;
    if (glasses > .5f) {
        V g = shift(s, h.eye_x + .015f, h.eye_y - .005f, .86f);
        F depth = g.z + .25f * hi(g.x, 0.f) * hi(g.x, 0.f) + .05f * g.x;
        F ring = root(g.x * g.x + g.y * g.y) - .265f;
        if (q.glasses_square > .5f) {
            F qx = hi(absf(g.x) - .17f, 0.f), qy = hi(absf(g.y) - .10f, 0.f);
            ring = root(qx * qx + qy * qy) - .095f;
        }
        float wire = .016f + .024f * q.glasses_frame;
        F rim = root(ring * ring + depth * depth) - wire;
        rim = lo(rim, capsule(s, 0, h.eye_y + .07f, .905f, .09f, h.eye_y + .06f, .875f, wire * .85f, wire * .85f));
        rim = lo(rim, capsule(s, h.eye_x + .27f, h.eye_y + .06f, .82f, .90f, h.eye_y + .06f, -.02f, wire * .85f, wire * .85f));
        include(hit, rim, GLASS);
    }
    F torso_bound = pt.y + .85f;
    if (any_of(torso_bound < hit.distance)) include(hit, torso_field(pt, st, h), CLOTH);
    if (fine && h.clay > .01f && any_of(hit.distance < .08f)) {
        M smooth = (hit.material == bc((float)EYE)) | (hit.material == bc((float)GLASS)) | (hit.material == bc((float)TEETH)) | (hit.material == bc((float)METAL));
        hit.distance = hit.distance + sel(smooth, bc(0.f), h.clay * clay_relief(p));
    }
    hit.distance = hit.distance * h.squash;
    return hit;
}

FW V normal(V p, const Head& h) {
    const float e = .0016f;
    F a = world(p + at(e, -e, -e), h, true).distance, b = world(p + at(-e, -e, e), h, true).distance;
    F c = world(p + at(-e, e, -e), h, true).distance, d = world(p + at(e, e, e), h, true).distance;
    return unit(vec(a - b - c + d, d - a - b + c, b - a - c + d));
}
FW V colour(float r, float g, float b) { return at(r, g, b); }
FW V paint(V a, V b, F amount) { return mix(a, b, clampf(amount, 0.f, 1.f)); }

// The eye's colour: white, iris with a dark ring and a light lower half, pupil.
FW V eye_colour(V e, F open, const Head& h) {
    const Parameters& q = h.p;
    V d = unit(e);
    V gaze = unit(at(.48f * q.gaze_x, .40f * q.gaze_y, 1.f));
    V across = unit(vec(gaze.z, bc(0.f), -gaze.x));
    F cosine = clampf(dot(d, gaze), -1.f, 1.f);
    F k = root(2.f - 2.f * cosine);                          // angle for small angles
    F f = k * (1.f / h.iris);
    F down = (gaze.y - d.y) * 2.f;
    float flat = h.clay + h.comic;
    F streak = 1.f + .10f * (1 - flat) * sin_(atan2_(d.y - gaze.y, dot(d, across)) * 22.f);
    V iris = mix(colour(q.iris_r, q.iris_g, q.iris_b) * bc(.65f), colour(q.iris_r, q.iris_g, q.iris_b) * bc(1.9f) + at(.04f, .04f, .04f), clampf(.45f + .55f * (1 - .8f * h.clay) * down, 0.f, 1.f)) * streak;
    V a = at(.93f - .09f * h.natural, .92f - .11f * h.natural, .91f - .12f * h.natural);
    a = paint(a, iris, step_smooth(1.03f, .97f, f));
    a = paint(a, iris * bc(.30f), step_smooth(.82f, .93f, f) * step_smooth(1.05f, .99f, f));
    a = paint(a, at(.012f, .010f, .012f), step_smooth(.52f, .46f, f * (1 + .12f * h.natural)));
    return a;
}
struct Shade { V albedo; F gloss, shine, soft, part; };   // part: 1 on the lips
// What only human skin shows: mottling and pores, the fold of the lids, nostrils, the fold from nose to mouth.
FW V human_skin(V a, V p, V s, V e, F open, F squint, const Head& h) {
    F mottle = gyroid(p, 7.f) + .7f * gyroid(vec(p.y + .4f, p.z, p.x), 15.f), pore = gyroid(p, 84.f);
    V v = vec(a.x * (1.f + .035f * mottle + .016f * pore), a.y * (1.f - .030f * mottle + .018f * pore), a.z * (1.f - .030f * mottle + .018f * pore));
    float ny = h.nose_y, nw = nose_width(h);
    F u = e.x * (1 / h.eye_radius), height = e.y * (1 / h.eye_radius) - h.p.eye_tilt * u;
    F fold = height - lids(u, lo(open, 1.f), squint, h).upper - .27f + .10f * u * u;
    F dark = .45f * exp_(fold * fold * -240.f) * step_smooth(1.15f, .75f, absf(u)) * step_smooth(.0f, .05f, e.z);
    V n = shift(s, .052f * nw, ny - .075f, .89f);
    dark = dark + .80f * exp_((n.x * n.x + 2.2f * n.y * n.y + .3f * n.z * n.z) * -1100.f);
    F wing = root((s.x - .10f * nw) * (s.x - .10f * nw) + (p.y - ny + .02f) * (p.y - ny + .02f)) - .062f * nw;
    dark = dark + .13f * exp_(wing * wing * -2600.f) * step_smooth(.09f * nw, .15f * nw, s.x) * step_smooth(.55f, .65f, p.z);
    F nl = s.x - (.17f * nw + .36f * (ny + .02f - p.y));
    dark = dark + (.13f - .13f * h.elder) * (1 - h.child) * exp_(nl * nl * -420.f) * step_smooth(h.mouth_y - .02f, h.mouth_y + .08f, p.y) * step_smooth(ny + .02f, ny - .06f, p.y);
    return paint(v, vec(v.x * .46f, v.y * .34f, v.z * .32f), dark * h.natural);
}
// How much single hairs cover the skin just outside of the hair: 1 at its edge.
FW F roots(V p, const Head& h) {
    F beyond = hi(bare(p, h), 0.f);
    return exp_(beyond * (-1.f / .035f)) * step_smooth(-.35f, -.15f, p.y);
}
// Lighter and darker locks of straight hair, around 1: no two are alike.
FW F streaks(V p, const Head& h) {
    Strands s = strands(p, h.fall);
    F locks = sin_(s.fine) * (.6f + .4f * sin_(s.coarse * .31f + 4.f * s.warp));
    F hairs = sin_(s.fine * 2.f + s.warp * 3.f) * (.6f + .4f * sin_(s.coarse * .47f - 3.f * s.warp));
    return .96f + .22f * locks + (.10f + .08f * h.natural) * hairs;
}
// Light on straight hair: a band across the strands for what a hair's surface throws back, and a broader one in the hair's
// own hue for what went through it (Kajiya and Kay 1989; the two shifted bands of Marschner et al. 2003). Directions in the head frame.
struct Bands { F surface, within; };
FW Bands bands(V p, V n, V half, const Head& h) {
    const float e = .004f;
    F here = strands(p, h.fall).coarse;
    V across = vec(strands(shift(p, -e, 0, 0), h.fall).coarse - here, strands(shift(p, 0, -e, 0), h.fall).coarse - here,
                   strands(shift(p, 0, 0, -e), h.fall).coarse - here);
    V along = unit(vec(n.y * across.z - n.z * across.y, n.z * across.x - n.x * across.z, n.x * across.y - n.y * across.x));
    F c = dot(along, half);
    if (h.fall == PARTED) c = sel(p.x < PARTING, -c, c);   // down on both sides
    c = c + .045f * sin_(strands(p, h.fall).fine);
    F thick = 1.f - exp_(lo(bare(p, h), 0.f) * (1.f / .06f));   // edges are rounded, and would shine all along
    return {thick * exp_((c - .06f) * (c - .06f) * -24.f), thick * exp_((c + .16f) * (c + .16f) * -10.f)};
}
FW Shade surface(V camera, V n, Hit hit, const Head& h) {
    const Parameters& q = h.p;
    V p = in_head(camera, h), s = vec(absf(p.x), p.y, p.z);
    V skin = colour(q.skin_r, q.skin_g, q.skin_b);
    V hair = mix(colour(q.hair_r, q.hair_g, q.hair_b), at(.62f, .62f, .64f), bc(q.grey));
    M right = p.x > 0.f;
    // skin: blush on cheeks, nose and ears, make-up on lids, lips, stubble
    V rosy = vec(skin.x * 1.10f, skin.y * .66f, skin.z * .60f);
    V c1 = shift(s, .40f, -.24f, .52f), c2 = shift(p, 0, h.nose_y, .92f), c3 = shift(s, .84f, -.04f, -.05f);
    float blush = 1 - .50f * h.natural + .30f * h.clay + .35f * h.child;
    V a = paint(skin, rosy, bc(blush) * (.50f * exp_(dot(c1, c1) * -13.f) + .30f * exp_(dot(c2, c2) * -42.f) + .30f * exp_(dot(c3, c3) * -14.f)));
    V e = shift(s, h.eye_x, h.eye_y, h.eye_z);
    F near_eye = exp_((length(e) - h.eye_radius - .03f) * (length(e) - h.eye_radius - .03f) * -500.f) * step_smooth(-.02f, .08f, e.y) * step_smooth(0.f, .05f, e.z);
    a = paint(a, vec(q.lip_r * a.x * 1.3f, q.lip_g * a.y * 1.2f + .02f, q.lip_b * a.z * 1.5f + .05f), near_eye * .75f * q.make_up);
    if (q.freckles > .02f) {
        V on = before_skin(p, h.eye);
        F out = absf(on.x) - .30f, low = on.y + .15f, over = on.y + .06f;
        F zone = clampf(1.3f * (exp_((out * out + low * low) * -16.f) + .8f * exp_((on.x * on.x + over * over) * -22.f)), 0.f, 1.f);
        F spots = freckles(on.x, on.y) * step_smooth(.15f, .30f, p.z);
        a = paint(a, vec(a.x * .66f, a.y * .50f, a.z * .42f), q.freckles * zone * (.10f + .90f * spots));
    }
    F open = sel(right, bc(q.eye_r), bc(q.eye_l));
    if (q.furrow > .01f) a = paint(a, vec(a.x * .50f, a.y * .36f, a.z * .32f), q.furrow * (.65f - .25f * h.child) * frown_lines(s) * step_smooth(.15f, .30f, p.z));
    if (h.elder > .01f) {
        F line = wrinkles(p, s, sel(right, bc(q.brow_r), bc(q.brow_l)), h);
        a = paint(a, vec(a.x * .50f, a.y * .36f, a.z * .32f), h.elder * (.75f + .25f * h.comic) * line);
    }
    if (h.natural > .01f) {
        V human = human_skin(a, p, s, e, open, sel(right, bc(q.squint_r), bc(q.squint_l)), h);
        a = mix(a, human, bc(h.natural));
    }
    if (q.stubble > .02f) {
        F zone = step_smooth(.10f, -.05f, p.y - (h.mouth_y + .12f + .34f * step_smooth(.22f, .60f, s.x))) * step_smooth(-.25f, .10f, p.z) * step_smooth(-1.0f, -.8f, p.y);
        a = paint(a, mix(a, hair, bc(.6f)), zone * .55f * q.stubble);
    }
    if (h.combed > .01f && h.hat < .5f) a = paint(a, mix(a, hair, bc(.75f)), h.combed * roots(p, h));
    Mouth m = mouth(p.x, h);
    F lips = step_smooth(-.010f, .006f, lo(m.top - p.y, p.y - m.bottom)) * step_smooth(1.04f, .97f, absf(m.u)) * step_smooth(.35f - .20f * q.jaw_open, .45f - .20f * q.jaw_open, p.z);
    F line = exp_((p.y - .5f * (m.upper + m.lower)) * (p.y - .5f * (m.upper + m.lower)) * (-9000.f + 5000.f * h.comic)) * step_smooth(1.1f, 1.0f, absf(m.u)) * step_smooth(.012f, .0f, m.upper - m.lower);
    V lip = colour(q.lip_r, q.lip_g, q.lip_b);
    if (h.natural > .01f) lip = lip * (1.f - h.natural * .10f * (.5f + .5f * sin_(p.x * 95.f + 1.5f * sin_(p.y * 40.f)) + .6f * m.u * m.u));
    a = paint(a, lip, lips);
    a = paint(a, lip * bc(.32f - .26f * h.comic), line * (.8f + .2f * h.comic) * step_smooth(.35f, .45f, p.z));
    Shade r = {a, bc(.10f), bc(16.f), bc(.78f + .07f * h.natural), bc(0.f)};
    r.part = step_smooth(.45f, .55f, lips);
    r.gloss = mix(r.gloss, bc(.22f + .25f * q.make_up), lips);
#define ON(kind) (hit.material == bc((float)kind))
#define SURFACE(kind, colour_, gloss_, shine_, soft_) \
    if (any_of(ON(kind))) { M on = ON(kind); r.albedo = sel(on, colour_, r.albedo); r.gloss = sel(on, bc(gloss_), r.gloss); \
        r.shine = sel(on, bc(shine_), r.shine); r.soft = sel(on, bc(soft_), r.soft); }
    SURFACE(EYE, eye_colour(vec((p.x - sel(right, bc(h.eye_x), bc(-h.eye_x))) * h.squash, e.y, e.z), open, h), 0.f, 100.f, 0.f)
    SURFACE(LASH, at(.03f, .022f, .02f), .05f, 20.f, 0.f)
    SURFACE(BROW, hair * (.62f + h.natural * .05f * sin_(s.x * 105.f - p.y * 70.f)), .04f, 12.f, 0.f)
    SURFACE(CAVITY, at(.20f, .035f, .04f), 0.f, 10.f, 0.f)
    F gaps = 1.f - .22f * exp_(-absf(sin_(p.x * 34.f)) * 9.f);
    SURFACE(TEETH, at(.92f, .91f, .88f) * gaps, .25f, 50.f, 0.f)
    SURFACE(TONGUE, at(.72f, .25f, .27f), .25f, 25.f, .3f)
    if (any_of(ON(HAIR))) {
        V tint = hair * (h.curl > .01f ? .97f + .19f * gyroid(curl_place(p), FINE_CURLS) : streaks(p, h));
        if (h.clay + h.comic > .01f) tint = mix(tint, hair, bc(h.clay + h.comic));
        if (h.combed > .01f) {   // the head shows through hair that is thin or cropped
            F inside = lo(bare(p, h), 0.f);
            tint = mix(tint, skin, h.cropped * (.07f + .28f * exp_(inside * (1.f / .16f))) + (h.combed - h.cropped) * .16f * exp_(inside * (1.f / .05f)));
        }
        // black hair shines in narrower bands, or they make most of it grey
        float black = clampu(1.f - (q.hair_r + q.hair_g + q.hair_b) * (1.f - q.grey) / .09f - q.grey, 0.f, 1.f);
        SURFACE(HAIR, tint, .30f - .05f * h.natural - .08f * black, 12.f + 6.f * h.natural + 10.f * black, 0.f)
    }
    SURFACE(BEARD, hair * (.80f + .18f * gyroid(fluff_place(p), FINE_FLUFF)), .04f, 10.f, 0.f)
    SURFACE(CLOTH, colour(q.cloth_r, q.cloth_g, q.cloth_b), .03f, 8.f, .1f)
    if (any_of(ON(GEAR))) {
        V gear = colour(q.gear_r, q.gear_g, q.gear_b);
        if (h.hat > .5f) {
            F knit = q.hat_beanie >= q.hat_cap ? .92f + .10f * sin_(rib_phase(p)) : bc(1.f);
            SURFACE(GEAR, gear * knit, .04f, 8.f, .15f)
        } else {
            F cushion = step_smooth(.965f, .935f, s.x) * step_smooth(.25f, .15f, p.y);
            SURFACE(GEAR, mix(gear, at(.03f, .03f, .035f), cushion), .45f, 30.f, 0.f)
        }
    }
    SURFACE(METAL, at(.78f, .55f, .20f), .9f, 40.f, 0.f)
    SURFACE(GLASS, colour(q.frame_r, q.frame_g, q.frame_b), .55f, 50.f, 0.f)
    return r;
}
FW V to_light(float x, float y, float z) { return unit(at(x, y, z)); }
FW F luminance(V c) { return c.x * .3f + c.y * .59f + c.z * .11f; }
// Flat shading in three tones with the shade in a cool colour; highlights with hard edges, zigzag on hair.
FW V cel(const Shade& s, F lit, F gleam, Hit hit, V p, const Head& h) {
    F grey = luminance(s.albedo);
    V bold = mix(vec(grey, grey, grey), s.albedo, bc(1.22f));
    bold = vec(hi(bold.x, .004f), hi(bold.y, .004f), hi(bold.z, .004f));
    V ramp = mix(at(.52f, .46f, .60f), at(.93f, .90f, .90f), step_smooth(.11f, .17f, lit));
    ramp = mix(ramp, at(1.16f, 1.12f, 1.06f), step_smooth(.70f, .76f, lit));
    M hair = hit.material == bc((float)HAIR), eye = hit.material == bc((float)EYE);
    F zigzag = sel(hair, sin_(strands(p, h.fall).coarse), bc(0.f));
    F streak = step_smooth(.50f, .60f, gleam + .14f * zigzag) * step_smooth(.12f, .2f, s.gloss);
    V c = bold * sel(eye, at(.95f, .95f, .95f), ramp);
    return c + (bold * bc(.55f) + at(.10f, .10f, .11f)) * streak;
}
FW V light(V p, V n, V ray, Hit hit, F& part, const Head& h) {
    const Parameters& q = h.p;
    Shade s = surface(p, n, hit, h);
    M eye = hit.material == bc((float)EYE), skin = hit.material == bc((float)SKIN);
    F bright = luminance(s.albedo);
    s.albedo = s.albedo * sel(skin, mix(bc(1.28f), bc(.95f), step_smooth(.02f, .30f, bright)), bc(1.f));   // all skins equally well lit
    if (h.clay > .01f) {   // chalky pigment, no gloss, light that creeps around
        V pigment = at(.035f, .033f, .030f) + mix(vec(bright, bright, bright), s.albedo, bc(1.12f)) * bc(.95f);
        pigment = vec(hi(pigment.x, .02f), hi(pigment.y, .02f), hi(pigment.z, .02f));
        s.albedo = mix(s.albedo, sel(eye, s.albedo, pigment), bc(h.clay));
        s.gloss = s.gloss * (1.f - .93f * h.clay);
        s.soft = mix(s.soft, bc(.9f), bc(h.clay * .8f));
    }
    // no bags under young eyes: the skin there is lit as if it were flat
    V cheek = in_head(p, h), under = shift(vec(absf(cheek.x), cheek.y, cheek.z), h.eye_x + .06f, h.eye_y - .13f, .76f);
    F rested = sel(skin, exp_(dot(under, under) * -20.f), bc(0.f)) * ((1.f - h.elder) * (1.f - clampu(q.cheek_puff, 0.f, 1.f)));
    V flat = rotate(h.head, vec(.35f * cheek.x, bc(.05f), bc(.95f)));
    n = unit(mix(n, flat, .75f * rested));
    V key = to_light(q.light_x, q.light_y, q.light_z), fill = to_light(-q.light_x, .1f, .8f), rim = to_light(q.light_x > 0 ? -.6f : .6f, .5f, -.8f);
    F nl = dot(n, key), wrap = s.soft * .4f;
    F diffuse = clampf((nl + wrap) / (1.f + wrap), 0.f, 1.f);
    F shadow = bc(1.f), t = bc(.04f);
    for (int i = 0; i < 12; i++) {
        F d = world(p + n * bc(.012f) + key * t, h, false).distance;
        shadow = lo(shadow, d * 6.f / t);
        t = t + clampf(d, .04f, .30f);
    }
    shadow = mix(bc(.35f), bc(1.f), clampf(shadow, 0.f, 1.f));
    F ao = bc(0.f); float weight = 1;
    for (int i = 1; i <= 3; i++) {
        float step = .035f * i * i;
        ao = ao + (step - world(p + n * bc(step), h, false).distance) * weight;
        weight *= .55f;
    }
    ao = clampf(1.f - (1.35f - .35f * h.natural) * ao, .45f, 1.f);
    ao = mix(ao, bc(1.f), .75f * rested);
    shadow = mix(shadow, bc(1.f), .6f * rested);
    M tooth = hit.material == bc((float)TEETH);   // a smile is white in any light
    ao = sel(tooth, hi(ao, .90f), ao);
    shadow = sel(tooth, hi(shadow, .80f), shadow);
    float w = q.light_warmth;
    V lit = at(1.14f + .06f * w, 1.07f, 1.0f - .08f * w) * (diffuse * shadow * .92f);
    V scatter = at(.26f, .06f, .025f) * (s.soft * step_smooth(-.35f, .25f, nl) * (1.f - step_smooth(.15f, .6f, nl)) * ao * (1 - .75f * h.clay));
    V sky = at(.46f, .48f, .54f) * ((.58f + .42f * n.y) * .66f * ao);
    V filled = at(.50f, .47f, .48f) * (clampf(dot(n, fill), 0.f, 1.f) * .42f * ao);
    filled = filled + at(.30f, .30f, .30f) * sel(tooth, bc(1.f), bc(0.f));
    V view = ray * bc(-1.f);
    F facing = 1.f - clampf(dot(n, view), 0.f, 1.f);
    V edge = at(.80f, .86f, 1.f) * (facing * facing * facing * clampf(dot(n, rim) * .6f + .5f, 0.f, 1.f) * .50f * ao);
    V c = s.albedo * (lit + scatter + sky + filled + edge);
    F half = clampf(dot(n, unit(key + view)), 0.f, 1.f);
    // powers by repeated use of exp: half^shine = exp(shine * log(half)), log(1 - x) ~ -x - x^2/2 near the highlight
    F x = 1.f - half;
    F highlight = s.gloss * exp_(s.shine * (-x - .5f * x * x)) * shadow;
    V shine = at(1.f, .98f, .95f);
    M hairy = (hit.material == bc((float)HAIR)) | (hit.material == bc((float)BEARD));
    if (any_of(hairy)) {   // light goes into hair before it comes back, so what shines has the hair's own hue
        V own = s.albedo * (1.f / hi(hi(s.albedo.x, s.albedo.y), hi(s.albedo.z, .004f)));
        shine = sel(hairy, mix(shine, own, bc(.65f)), shine);
    }
    M straight = hit.material == bc((float)HAIR);
    F gleam = highlight * (1.f / hi(s.gloss, .02f));
    if (h.curl < .01f && any_of(straight)) {
        V turned = unrotate(h.head, n);
        Bands b = bands(in_head(p, h), turned, unrotate(h.head, unit(key + view)), h);
        F lit_hair = clampf(nl * .7f + .3f, 0.f, 1.f) * shadow * ao;
        V glow = (at(1.f, .98f, .95f) * bc(.11f) * b.surface + s.albedo * (1.3f * b.surface + .9f * b.within)) * (lit_hair * (1 - .9f * h.clay));
        gleam = sel(straight, b.surface * step_smooth(.2f, .6f, lit_hair), gleam);
        c = c + sel(straight, glow - shine * highlight * bc(.75f), at(0.f, 0.f, 0.f));
    }
    c = c + shine * highlight;
    if (h.comic > .01f) c = mix(c, cel(s, nl * shadow, gleam, hit, unrotate(h.head, p), h), bc(h.comic));
    if (any_of(eye)) {   // two catch-lights, fixed to the camera, so that eyes live in any light
        F g1 = 1.f - clampf(dot(n, to_light(.30f, .42f, .85f)), 0.f, 1.f), g2 = 1.f - clampf(dot(n, to_light(-.34f, -.30f, .85f)), 0.f, 1.f);
        F glint = (exp_(g1 * -160.f) * 1.0f + exp_(g2 * -110.f) * .22f) * (1 - h.comic - .9f * h.clay) + h.comic * step_smooth(.016f, .010f, g1);
        V pe = unrotate(h.head, p);
        F lid_shade = step_smooth(.16f, .02f, (pe.y - h.eye_y) );
        c = sel(eye, c * mix(bc(.62f), bc(1.f), lid_shade) + at(1.f, 1.f, 1.f) * glint, c);
    }
    part = sel(skin, s.part, bc(0.f));
    return c * bc(q.exposure);
}
FW F tone(F v) {  // linear to display, 0..1: a gentle shoulder, then gamma 1/2 by the square root
    v = hi(v, 0.f);
    v = v * 1.10f / (1.f + v * .16f);
    return clampf(root(v), 0.f, 1.f);
}
// What a bundle of rays met: colour 0..1 and alpha 0 or 1; material (lips half a step above skin), depth and normal for ink lines.
struct Sample { V rgb; F alpha, material, depth; V normal; };
// Trace LANES rays through picture points (sx, sy in -1..1, y up).
FW Sample trace(F sx, F sy, const Head& h) {
    V from = at(0.f, -.02f, 5.2f);
    V ray = unit(vec(sx * VIEW, sy * VIEW - .03f, bc(-1.f)));
    F t = bc(3.2f);
    Hit hit = {bc(1e9f), bc(0.f)};
    M going = t > 0.f;
    for (int i = 0; i < 72; i++) {
        hit = world(from + ray * t, h, true);
        going = going & (hit.distance > t * .0004f) & (t < 7.2f);
        if (!any_of(going)) break;
        t = sel(going, t + hit.distance * .80f, t);
    }
    M found = t < 7.2f;
    Sample r = {at(0.f, 0.f, 0.f), sel(found, bc(1.f), bc(0.f)), bc(0.f), t, at(0.f, 0.f, 1.f)};
    if (!any_of(found)) return r;
    V p = from + ray * t;
    r.normal = normal(p, h);
    F part;
    V c = light(p, r.normal, ray, hit, part, h);
    r.rgb = sel(found, vec(tone(c.x), tone(c.y), tone(c.z)), r.rgb);
    r.material = sel(found, hit.material + .5f * part, r.material);
    return r;
}
