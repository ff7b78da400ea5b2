/* preprocess_json.c - nac_preprocess as JSON: a profile's "preprocess", a --preset file. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "image/image.h"

static nac_status wrong(nac_error *error, const char *key, const char *expected) {
    return nac_fail(error, NAC_MALFORMED, "preprocess: \"%s\" must be %s", key, expected);
}

/* Sets *choice to the index of the string among `names`. */
static bool read_choice(yyjson_val *value, const char *const *names, size_t count, int *choice) {
    for (size_t i = 0; i < count; ++i)
        if (yyjson_equals_str(value, names[i])) {
            *choice = (int)i;
            return true;
        }
    return false;
}

static bool read_side(yyjson_val *value, int *side) {
    if (!yyjson_is_uint(value)) return false;
    uint64_t number = yyjson_get_uint(value);
    if (number < 1 || number > NAC_MAX_IMAGE_SIDE) return false;
    *side = (int)number;
    return true;
}

static bool read_three(yyjson_val *value, float three[3]) {
    if (!yyjson_is_arr(value) || yyjson_arr_size(value) != 3) return false;
    for (size_t i = 0; i < 3; ++i) {
        yyjson_val *item = yyjson_arr_get(value, i);
        if (!yyjson_is_num(item)) return false;
        double number = yyjson_get_num(item);
        if (!(fabs(number) <= 3.4028234663852886e38)) return false; /* FLT_MAX: above it the cast is undefined */
        three[i] = (float)number;
    }
    return true;
}

static bool read_resize(yyjson_val *value, nac_preprocess *p) {
    p->resize_width = p->resize_height = 0;
    p->resize = NAC_RESIZE_NONE;
    if (yyjson_is_null(value)) return true;
    if (!yyjson_is_obj(value)) return false;
    if (yyjson_obj_size(value) == 1) {
        p->resize = NAC_RESIZE_SHORT_SIDE;
        return read_side(yyjson_obj_get(value, "shortSide"), &p->resize_width);
    }
    p->resize = NAC_RESIZE_EXACT;
    return yyjson_obj_size(value) == 2 && read_side(yyjson_obj_get(value, "width"), &p->resize_width) &&
           read_side(yyjson_obj_get(value, "height"), &p->resize_height);
}

static bool read_crop(yyjson_val *value, nac_preprocess *p) {
    p->crop_width = p->crop_height = 0;
    if (yyjson_is_null(value)) return true;
    return yyjson_is_arr(value) && yyjson_arr_size(value) == 2 && read_side(yyjson_arr_get(value, 0), &p->crop_width) &&
           read_side(yyjson_arr_get(value, 1), &p->crop_height);
}

static const char *const exif_names[] = {"ignore", "apply"};
static const char *const color_names[] = {"rgb"};
static const char *const alpha_names[] = {"drop", "white", "black"};
static const char *const filter_names[] = {"bilinear", "bicubic"};
static const char *const order_names[] = {"rgb", "bgr"};

static const char *const keys[] = {"exif", "color", "alpha", "resize", "filter", "crop", "scale", "mean", "std", "channelOrder"};

/* `key` is an index into keys. */
static nac_status read_field(size_t key, yyjson_val *value, nac_preprocess *p, nac_error *error) {
    int choice = 0;
    const char *name = keys[key];
    switch (key) {
        case 0:
            if (!read_choice(value, exif_names, NAC_COUNT(exif_names), &choice)) return wrong(error, name, "\"ignore\" or \"apply\"");
            p->exif = choice == 1;
            break;
        case 1:
            if (!read_choice(value, color_names, NAC_COUNT(color_names), &choice)) return wrong(error, name, "\"rgb\"");
            break;
        case 2:
            if (!read_choice(value, alpha_names, NAC_COUNT(alpha_names), &choice))
                return wrong(error, name, "\"drop\", \"white\" or \"black\"");
            p->alpha = (nac_alpha)choice;
            break;
        case 3:
            if (!read_resize(value, p)) return wrong(error, name, "null, {\"shortSide\": S} or {\"width\": W, \"height\": H}, 1 to 32768");
            break;
        case 4:
            if (!read_choice(value, filter_names, NAC_COUNT(filter_names), &choice))
                return wrong(error, name, "\"bilinear\" or \"bicubic\"");
            p->filter = (nac_filter)choice;
            break;
        case 5:
            if (!read_crop(value, p)) return wrong(error, name, "null or [width, height], 1 to 32768");
            break;
        case 6:
            if (!yyjson_is_num(value)) return wrong(error, name, "a number");
            p->scale = yyjson_get_num(value);
            break;
        case 7:
            if (!read_three(value, p->mean)) return wrong(error, name, "three finite numbers");
            break;
        case 8:
            if (!read_three(value, p->std)) return wrong(error, name, "three finite positive numbers");
            break;
        default:
            if (!read_choice(value, order_names, NAC_COUNT(order_names), &choice)) return wrong(error, name, "\"rgb\" or \"bgr\"");
            p->order = (nac_channel_order)choice;
    }
    return NAC_OK;
}

static nac_status read_object(yyjson_val *root, nac_preprocess *preprocess, nac_error *error) {
    if (!yyjson_is_obj(root)) return nac_fail(error, NAC_MALFORMED, "preprocess: a JSON object is expected");
    nac_preprocess result;
    NAC_TRY(nac_preprocess_preset("imagenet", &result, error));
    unsigned seen = 0;
    size_t index, count;
    yyjson_val *name, *value;
    yyjson_obj_foreach(root, index, count, name, value) {
        size_t key = 0;
        while (key < NAC_COUNT(keys) && !yyjson_equals_str(name, keys[key])) ++key;
        if (key == NAC_COUNT(keys))
            return nac_fail(error, NAC_MALFORMED, "preprocess: unknown key \"%.64s\"", yyjson_get_str(name));
        if (seen & 1u << key) return nac_fail(error, NAC_MALFORMED, "preprocess: \"%s\" stands twice", keys[key]);
        seen |= 1u << key;
        NAC_TRY(read_field(key, value, &result, error));
    }
    NAC_TRY(nac_preprocess_check(&result, NAC_MALFORMED, error));
    *preprocess = result;
    return NAC_OK;
}

nac_status nac_preprocess_parse(const char *json, size_t size, nac_preprocess *preprocess, nac_error *error) {
    if (!json || !preprocess) return nac_fail(error, NAC_INVALID_ARGUMENT, "a pointer is NULL");
    yyjson_alc allocator = nac_json_allocator();
    yyjson_read_err problem = {0};
    /* Without YYJSON_READ_INSITU the text is not written to, so the cast is safe. */
    yyjson_doc *document = yyjson_read_opts((char *)(uintptr_t)json, size, YYJSON_READ_NOFLAG, &allocator, &problem);
    if (!document) {
        if (problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) return nac_out_of_memory(error, "JSON");
        return nac_fail(error, NAC_MALFORMED, "preprocess: %s at byte %zu", problem.msg ? problem.msg : "no JSON", problem.pos);
    }
    nac_status status = read_object(yyjson_doc_get_root(document), preprocess, error);
    yyjson_doc_free(document);
    return status;
}

/* The double with the fewest decimals that becomes this float: 0.485 and not 0.48500001430511475. */
static double shortest(float value) {
    double power = 1;
    for (int decimals = 0; decimals <= 9; ++decimals, power *= 10) {
        double candidate = round((double)value * power) / power;
        if ((float)candidate == value) return candidate;
    }
    return (double)value;
}

static yyjson_mut_val *three_numbers(yyjson_mut_doc *document, const float three[3]) {
    yyjson_mut_val *array = yyjson_mut_arr(document);
    bool good = true;
    for (int i = 0; i < 3; ++i) good &= yyjson_mut_arr_add_real(document, array, shortest(three[i]));
    return good ? array : NULL;
}

/* A failed allocation gives NULL values, which yyjson's own functions turn into false here: one check at the end. */
static bool build(yyjson_mut_doc *document, const nac_preprocess *p) {
    yyjson_mut_val *root = yyjson_mut_obj(document), *resize = yyjson_mut_null(document), *crop = yyjson_mut_null(document);
    yyjson_mut_doc_set_root(document, root);
    bool good = true;
    if (p->resize == NAC_RESIZE_SHORT_SIDE) {
        resize = yyjson_mut_obj(document);
        good &= yyjson_mut_obj_add_int(document, resize, "shortSide", p->resize_width);
    } else if (p->resize == NAC_RESIZE_EXACT) {
        resize = yyjson_mut_obj(document);
        good &= yyjson_mut_obj_add_int(document, resize, "width", p->resize_width);
        good &= yyjson_mut_obj_add_int(document, resize, "height", p->resize_height);
    }
    if (p->crop_width) {
        crop = yyjson_mut_arr(document);
        good &= yyjson_mut_arr_add_int(document, crop, p->crop_width);
        good &= yyjson_mut_arr_add_int(document, crop, p->crop_height);
    }
    good &= yyjson_mut_obj_add_str(document, root, "exif", exif_names[p->exif]);
    good &= yyjson_mut_obj_add_str(document, root, "color", color_names[0]);
    good &= yyjson_mut_obj_add_str(document, root, "alpha", alpha_names[p->alpha]);
    good &= yyjson_mut_obj_add_val(document, root, "resize", resize);
    good &= yyjson_mut_obj_add_str(document, root, "filter", filter_names[p->filter]);
    good &= yyjson_mut_obj_add_val(document, root, "crop", crop);
    good &= yyjson_mut_obj_add_real(document, root, "scale", p->scale);
    good &= yyjson_mut_obj_add_val(document, root, "mean", three_numbers(document, p->mean));
    good &= yyjson_mut_obj_add_val(document, root, "std", three_numbers(document, p->std));
    good &= yyjson_mut_obj_add_str(document, root, "channelOrder", order_names[p->order]);
    return good;
}

nac_status nac_preprocess_write(const nac_preprocess *preprocess, char *json, size_t capacity, size_t *size, nac_error *error) {
    if (!preprocess || !json || !size) return nac_fail(error, NAC_INVALID_ARGUMENT, "a pointer is NULL");
    NAC_TRY(nac_preprocess_check(preprocess, NAC_INVALID_ARGUMENT, error));
    yyjson_alc allocator = nac_json_allocator();
    yyjson_mut_doc *document = yyjson_mut_doc_new(&allocator);
    size_t length = 0;
    char *text = NULL;
    if (document && build(document, preprocess))
        text = yyjson_mut_write_opts(document, YYJSON_WRITE_NOFLAG, &allocator, &length, NULL);
    nac_status status = NAC_OK;
    if (!text) {
        status = nac_out_of_memory(error, "JSON");
    } else if (length >= capacity) {
        status = nac_fail(error, NAC_LIMIT_EXCEEDED, "the JSON has %zu bytes, the buffer %zu", length, capacity);
    } else {
        memcpy(json, text, length + 1);
        *size = length;
    }
    nac_free(text);
    yyjson_mut_doc_free(document);
    return status;
}
