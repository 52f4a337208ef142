// The parameters of a drawn head, in the order of the parameter vector. One list for C++ and, through it, for Python.
// Shape factors are around 1, amounts are 0..1 unless a comment says otherwise, angles are radians, colours linear RGB 0..1.
#pragma once
#define FACE_IDENTITY(X) \
 X(face_length) X(jaw_width) X(chin) X(cheeks) X(forehead) X(nose_length) X(nose_width) X(nose_tip) X(eye_size) \
 X(eye_distance) X(eye_tilt) X(ear_size) X(brow_height) X(brow_arch) X(brow_thickness) X(lip_thickness) X(mouth_width) \
 X(age) /* 0 child, 0.35 adult, 1 elder */ X(femininity) \
 X(beard) X(goatee) X(moustache) X(stubble) X(glasses_round) X(glasses_square) X(glasses_frame) X(make_up) \
 X(fringe) X(collar) /* 0 crew neck, 0.5 hood, 1 turtleneck */ \
 X(freckles) X(hat_beanie) X(hat_cap) X(headphones) X(earrings) /* from 0.5 */ \
 X(hair_bald) X(hair_buzz) X(hair_short) X(hair_side_part) X(hair_quiff) X(hair_curly) X(hair_afro) X(hair_bob) \
 X(hair_long) X(hair_wavy) X(hair_bun) X(hair_ponytail) X(hair_braids)
#define FACE_COLOURS(X) \
 X(skin_r) X(skin_g) X(skin_b) X(hair_r) X(hair_g) X(hair_b) X(iris_r) X(iris_g) X(iris_b) X(lip_r) X(lip_g) X(lip_b) \
 X(cloth_r) X(cloth_g) X(cloth_b) X(frame_r) X(frame_g) X(frame_b) X(grey) X(gear_r) X(gear_g) X(gear_b) /* hat or headphones */
#define FACE_LIGHT(X) X(light_x) X(light_y) X(light_z) X(light_warmth) /* -1..1 */ X(exposure) /* around 1 */
// How the head is drawn, each 0..1: toon is what all zeros mean; amounts between blend.
#define FACE_DOMAIN(X) X(domain_clay) X(domain_comic) X(domain_natural)
// Left and right are the picture's left and right when the head looks at the camera, as in MediaPipe's unmirrored picture
// the person's right eye is on the picture's left. "_l" is at negative x.
#define FACE_MOTION(X) \
 X(yaw) X(pitch) X(roll) X(jaw_open) X(mouth_wide) /* -1 pucker .. 1 wide */ X(corner_l) X(corner_r) /* -1..1 */ \
 X(lip_upper) X(lip_lower) X(tongue) X(cheek_puff) X(mouth_shift) /* -1..1 */ X(eye_l) X(eye_r) /* 0 closed, 1 open, 1.3 wide */ \
 X(squint_l) X(squint_r) X(brow_l) X(brow_r) /* -1 down .. 1 up */ X(furrow) X(gaze_x) X(gaze_y) /* -1..1 */
#define FACE_PARAMETERS(X) FACE_IDENTITY(X) FACE_COLOURS(X) FACE_LIGHT(X) FACE_DOMAIN(X) FACE_MOTION(X)

struct Parameters {
#define FIELD(name) float name;
    FACE_PARAMETERS(FIELD)
#undef FIELD
};
