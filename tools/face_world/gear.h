// What people wear on their heads: a beanie, a baseball cap, headphones, earrings. Head frame, as in world.h; s is p with |x|.
// engines/detail_maps.py gives the generator the same shapes. Needs lanes.h and params.h.
#pragma once
#include "lanes.h"
#include "params.h"

#define HAT_RIBS 34.f
// How high the edge of a hat runs: over the brows in front, down in the neck.
FW F hem(V p) { return .315f + .20f * p.z; }
FW F rib_phase(V p) { return atan2_(p.x, p.z + .10f) * HAT_RIBS; }

FW F hat_field(V p, V s, const Parameters& q, bool fine) {
    F above = p.y - hem(p);
    if (q.hat_beanie >= q.hat_cap) {
        F ribs = fine ? .010f * sin_(rib_phase(p)) : bc(0.f);
        F crown = smooth_max(ellipsoid(shift(p, 0, .24f, -.10f), .93f, .95f, .98f) - .6f * ribs, -above, .04f);
        F fold = smooth_max(ellipsoid(shift(p, 0, .24f, -.10f), .965f, .975f, 1.015f) - ribs, absf(above - .09f) - .09f, .05f);
        return smooth_min(crown, fold, .02f);
    }
    F panel = fine ? .007f * exp_(-absf(sin_(atan2_(p.x, p.z + .10f) * 3.f)) * 14.f) : bc(0.f);
    F crown = smooth_max(ellipsoid(shift(p, 0, .24f, -.10f), .93f, .93f, .98f) + panel, -above, .03f);
    crown = smooth_min(crown, length(shift(p, 0, 1.175f, -.10f)) - .045f, .02f);
    F bend = p.y - .52f + .34f * p.x * p.x + .30f * (p.z - .75f);
    F round = (root(p.x * p.x * (1 / .31f) + (p.z - .74f) * (p.z - .74f) * (1 / .32f)) - 1.f) * .50f;
    F visor = smooth_max(smooth_max(round, absf(bend) - .022f, .03f) * .80f, .45f - p.z, .02f);
    return lo(crown, visor);
}
// The band over the crown and the cups over the ears.
FW F headphones_field(V p, V s) {
    F x = p.x * (1 / .985f), y = (p.y - .13f) * (1 / 1.06f), z = p.z + .06f;
    F out = absf(root(x * x + y * y) - 1.f) - .024f, wide = absf(z) - .080f - .03f * step_smooth(.5f, 1.1f, p.y);
    F beyond = hi(out, 0.f), aside = hi(wide, 0.f);
    F band = smooth_max(root(beyond * beyond + aside * aside) - .030f, -.10f - p.y, .03f);
    F cup = ellipsoid(shift(s, 1.00f, -.06f, -.02f), .115f, .28f, .26f);
    F cushion = ellipsoid(shift(s, .915f, -.06f, -.02f), .085f, .255f, .235f);
    return lo(band, smooth_min(cup, cushion, .015f));
}
FW F earrings_field(V s) {   // hoops, hanging behind the lobes
    V e = shift(s, .850f, -.300f, -.14f);
    F along = e.x * .30f + e.z * .954f, across = e.x * .954f - e.z * .30f;
    F ring = root(across * across + e.y * e.y) - .095f;
    return root(ring * ring + along * along) - .024f;
}
