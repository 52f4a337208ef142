// The patterns on hair and beards, as smooth formulas of the place on the head: engines/detail_maps.py gives the generator the
// very same ones, so that it need not learn where a strand or a curl lies. Needs lanes.h.
#pragma once
#include "lanes.h"

#define CURLS 13.f
#define FINE_CURLS 26.f
#define FLUFF 26.f
#define FINE_FLUFF 55.f

// Schoen's minimal surface as a solid pattern, -1..1.
FW F gyroid(V p, float frequency) {
    F x = p.x * frequency, y = p.y * frequency, z = p.z * frequency;
    const float quarter = 1.57079633f;
    return (sin_(x) * sin_(y + quarter) + sin_(y) * sin_(z + quarter) + sin_(z) * sin_(x + quarter)) * (1.f / 1.5f);
}
// A direction seen from inside the head, as a place on a sphere: a pattern of such places looks the same on thick hair and on thin.
FW V on_sphere(V p, float y, float radius) {
    V d = vec(p.x, p.y - y, p.z + .10f);
    return d * (radius / root(dot(d, d) + 1e-6f));
}
// Spots by x and y on the smooth body of before_skin() in world.h.
FW F freckles(F x, F y) {
    F across = sin_(x * 40.f + y * 10.f + 1.1f * sin_(y * 17.f + x * 7.f)), up = sin_(y * 43.f - x * 13.f + 1.1f * sin_(x * 18.f + .5f));
    F rarer = .34f * sin_(x * 24.f + y * 15.f) + .30f * sin_(x * 13.f - y * 29.f + 1.f);
    return step_smooth(.45f, .80f, across * up + rarer - .05f);
}
FW V curl_place(V p) { return on_sphere(p, .21f, .95f); }
FW V fluff_place(V p) { return on_sphere(p, -.25f, .80f); }   // beards
// Phases of combed strands, and how far they bend (-1..1). Long hair turns from combed at the top to hanging at the sides;
// parted hair falls from the parting to both sides, swept back a little, and hangs on from there; swept hair lies across.
#define PARTING -.10f
struct Strands { F coarse, fine, warp; };
enum Fall { COMBED, HANGING, PARTED, SWEPT };
FW F from_parting(V p) { return root((p.x - PARTING) * (p.x - PARTING) + 4e-4f); }
FW Strands strands(V p, Fall fall) {
    F angle = atan2_(p.x, p.y + .15f);
    if (fall == PARTED) angle = 1.05f * p.z + .45f * from_parting(p);
    else if (fall == SWEPT) angle = .90f * p.z + .60f * p.x;
    else if (fall == HANGING) angle = mix(angle, atan2_(p.x, p.z + .17f), step_smooth(.45f, -.05f, p.y));
    F warp = .5f * sin_(p.x * 2.f + 1.3f * sin_(p.y * 2.3f + .5f)) + .5f * sin_(p.z * 2.6f + p.y * 1.9f + 1.f);
    Strands s = {angle * 26.f + warp * 2.f, angle * 44.f + warp * 4.f + p.z * 3.f, warp};
    return s;
}
