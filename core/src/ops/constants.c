/* constants.c - ONNX operators that make constants, and the shape arithmetic that exporters leave in a graph: all of it is known
 * when the input's size is, and nothing of it is left to run. */
#include <limits.h>
#include <string.h>

#include "ops/common.h"

/* Numbers that a file of a few bytes may ask to be made up at once: shapes and masks are far smaller. */
enum { MAX_MADE_UP = 1 << 24 };

static nac_status add(nac_lowering *lowering, nac_type type, const nac_shape *shape, int *value) {
    return nac_graph_add_constant(lowering->graph, NULL, type, shape, NAC_ROW_MAJOR, value, lowering->error);
}

static nac_status bind_ints(nac_lowering *lowering, const int64_t *ints, int count, int rank) {
    const nac_shape shape = nac_shape_make(rank, &count);
    int value;
    NAC_TRY(add(lowering, NAC_I64, &shape, &value));
    memcpy(lowering->graph->values[value].data, ints, (size_t)count * sizeof *ints);
    return nac_lower_bind(lowering, 0, value);
}

/* ---- The same value ---------------------------------------------------------------------------- */

nac_status nac_lower_Identity(nac_lowering *lowering) {
    int x;
    NAC_TRY(nac_lower_binding(lowering, 0, &x));
    return nac_lower_pass(lowering, 0, x);
}

/* Inference: nothing is dropped. Its mask output is not made. torchvision 0.14 exports Swin with dropouts in training mode that drop 0 of all. */
nac_status nac_lower_Dropout(nac_lowering *lowering) {
    const int share = nac_lower_optional(lowering, 1), training = nac_lower_optional(lowering, 2);
    float dropped = 0.5f, on = 0;
    if (training != NAC_NONE) NAC_TRY(nac_lower_scalar(lowering, training, "training_mode", &on));
    if (on != 0 && share != NAC_NONE) NAC_TRY(nac_lower_scalar(lowering, share, "the ratio", &dropped));
    if (on != 0 && dropped != 0) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "training_mode is 1: export the model in evaluation mode");
    return nac_lower_Identity(lowering);
}

/* All floating types are float32 here and all others int64, so most casts do nothing. Booleans that depend on the image are float32, 0 or 1. */
static nac_status lower_cast(nac_lowering *lowering, nac_type type, bool boolean) {
    int x, y;
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    if (lowering->graph->values[x].type == type && !boolean) return nac_lower_bind(lowering, 0, x);
    if (boolean && !lowering->graph->values[x].constant) {
        NAC_TRY(nac_lower_truth(lowering, x, &y));
        return nac_lower_bind(lowering, 0, y);
    }
    NAC_TRY(nac_lower_constant(lowering, 0, &x));
    const nac_shape shape = lowering->graph->values[x].shape;
    NAC_TRY(add(lowering, type, &shape, &y));
    const nac_value *from = &lowering->graph->values[x];
    void *data = lowering->graph->values[y].data;
    const int count = (int)nac_elements(&shape);
    for (int i = 0; i < count; ++i) {
        const double number = nac_number_at(from, i);
        if (type == NAC_F32) ((float *)data)[i] = (float)number;
        else if (boolean) ((int64_t *)data)[i] = number != 0;
        else if (fabs(number) < 0x1p62) ((int64_t *)data)[i] = (int64_t)number;
        else return nac_lower_fail(lowering, NAC_UNSUPPORTED, "%g cannot be cast to an integer", number);
    }
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_Cast(nac_lowering *lowering) {
    int64_t to;
    NAC_TRY(nac_attribute_int(lowering, "to", 0, &to));
    const nac_onnx_tensor target = {.data_type = to > 0 && to < INT_MAX ? (int)to : 0};
    if (!nac_onnx_tensor_is_number(&target)) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "a cast to data type %lld", (long long)to);
    return lower_cast(lowering, nac_onnx_tensor_is_float(&target) ? NAC_F32 : NAC_I64, target.data_type == 9);
}

/* To the type of input 1: numbers of floating types or integers, for nothing here tells booleans from these. */
nac_status nac_lower_CastLike(nac_lowering *lowering) {
    int like;
    NAC_TRY(nac_lower_input(lowering, 1, &like));
    return lower_cast(lowering, lowering->graph->values[like].type, false);
}

/* ---- Made up ----------------------------------------------------------------------------------- */

static const nac_onnx_attribute *find_attribute(const nac_onnx_node *node, const char *name, nac_onnx_attribute_kind kind) {
    for (int i = 0; i < node->attribute_count; ++i)
        if (strcmp(node->attributes[i].name, name) == 0 && node->attributes[i].kind == kind) return &node->attributes[i];
    return NULL;
}

nac_status nac_lower_Constant(nac_lowering *lowering) {
    const nac_onnx_node *node = lowering->node;
    const nac_onnx_attribute *found;
    const nac_shape scalar = {.rank = 0};
    int value;
    if ((found = find_attribute(node, "value", NAC_ATTRIBUTE_TENSOR))) {
        if (found->tensor.count == 0) {
            nac_lower_bind_empty(lowering, 0);
            return NAC_OK;
        }
        NAC_TRY(nac_lower_tensor(lowering, &found->tensor, NULL, NAC_ROW_MAJOR, &value));
    } else if ((found = find_attribute(node, "value_float", NAC_ATTRIBUTE_FLOAT))) {
        NAC_TRY(add(lowering, NAC_F32, &scalar, &value));
        *(float *)lowering->graph->values[value].data = found->f;
    } else if ((found = find_attribute(node, "value_int", NAC_ATTRIBUTE_INT))) {
        return bind_ints(lowering, &found->i, 1, 0);
    } else if ((found = find_attribute(node, "value_floats", NAC_ATTRIBUTE_FLOATS))) {
        float *numbers;
        NAC_TRY(nac_lower_add_vector(lowering, (int)found->length, &value, &numbers));
        memcpy(numbers, found->floats, found->length * sizeof *numbers);
    } else if ((found = find_attribute(node, "value_ints", NAC_ATTRIBUTE_INTS))) {
        if (found->length > 0) return bind_ints(lowering, found->ints, (int)found->length, 1);
        nac_lower_bind_empty(lowering, 0);
        return NAC_OK;
    } else {
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "a constant that is neither a tensor nor numbers");
    }
    return nac_lower_bind(lowering, 0, value);
}

/* Turns a list of integers into a shape; what is wrong with single dims is said when a value of this shape is added. */
static nac_status shape_of_ints(nac_lowering *lowering, const int64_t *dims, int rank, nac_shape *shape) {
    uint64_t count = 1; /* below 2^48 before it is looked at */
    *shape = (nac_shape){.rank = rank};
    for (int i = 0; i < rank; ++i) {
        if (dims[i] < 0 || dims[i] > MAX_MADE_UP || (count *= (uint64_t)dims[i]) > MAX_MADE_UP)
            return nac_lower_fail(lowering, NAC_LIMIT_EXCEEDED, "a constant of more than %d elements (dimension %lld)", MAX_MADE_UP,
                                  (long long)dims[i]);
        shape->dims[i] = (int)dims[i];
    }
    return NAC_OK;
}

nac_status nac_lower_ConstantOfShape(nac_lowering *lowering) {
    int64_t dims[NAC_MAX_RANK], whole = 0;
    int rank, value;
    float real = 0;
    nac_shape shape;
    NAC_TRY(nac_lower_sizes(lowering, 0, dims, &rank));
    NAC_TRY(shape_of_ints(lowering, dims, rank, &shape));
    const nac_onnx_attribute *fill = find_attribute(lowering->node, "value", NAC_ATTRIBUTE_TENSOR);
    const bool floating = !fill || nac_onnx_tensor_is_float(&fill->tensor);
    if (fill && (fill->tensor.count != 1 || !nac_onnx_tensor_is_number(&fill->tensor)))
        return nac_lower_fail(lowering, NAC_MALFORMED, "attribute 'value' must hold one number");
    if (fill) NAC_TRY(floating ? nac_onnx_tensor_floats(&fill->tensor, &real, lowering->error)
                               : nac_onnx_tensor_ints(&fill->tensor, &whole, lowering->error));
    NAC_TRY(add(lowering, floating ? NAC_F32 : NAC_I64, &shape, &value));
    void *data = lowering->graph->values[value].data;
    const size_t count = nac_elements(&shape);
    for (size_t i = 0; i < count; ++i) {
        if (floating) ((float *)data)[i] = real;
        else ((int64_t *)data)[i] = whole;
    }
    return nac_lower_bind(lowering, 0, value);
}

nac_status nac_lower_Range(nac_lowering *lowering) {
    int inputs[3], value;
    double numbers[3]; /* start, limit, delta */
    for (int i = 0; i < 3; ++i) {
        NAC_TRY(nac_lower_constant(lowering, i, &inputs[i]));
        const nac_value *v = &lowering->graph->values[inputs[i]];
        if (nac_elements(&v->shape) != 1) return nac_lower_fail(lowering, NAC_MALFORMED, "input %d must be one number", i);
        numbers[i] = nac_number_at(v, 0);
    }
    const double count = ceil((numbers[1] - numbers[0]) / numbers[2]);
    if (!(count >= 1)) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "a range without elements");
    if (count > (double)MAX_MADE_UP) return nac_lower_fail(lowering, NAC_LIMIT_EXCEEDED, "a range of %g elements", count);
    const nac_type type = lowering->graph->values[inputs[0]].type;
    const nac_shape shape = nac_shape_make(1, (const int[]){(int)count});
    NAC_TRY(add(lowering, type, &shape, &value));
    void *data = lowering->graph->values[value].data;
    for (int i = 0; i < shape.dims[0]; ++i) {
        const double number = numbers[0] + i * numbers[2];
        if (type == NAC_F32) ((float *)data)[i] = (float)number;
        else if (fabs(number) < 0x1p53) ((int64_t *)data)[i] = (int64_t)number;
        else return nac_lower_fail(lowering, NAC_UNSUPPORTED, "a range that reaches %g", number);
    }
    return nac_lower_bind(lowering, 0, value);
}

/* ---- Sizes ------------------------------------------------------------------------------------- */

nac_status nac_lower_Shape(nac_lowering *lowering) {
    int x;
    int64_t start, end, dims[NAC_MAX_RANK];
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    const nac_shape shape = nac_logical_shape(&lowering->graph->values[x]);
    NAC_TRY(nac_attribute_int(lowering, "start", 0, &start));
    NAC_TRY(nac_attribute_int(lowering, "end", shape.rank, &end));
    if (start < 0) start = start < -shape.rank ? 0 : start + shape.rank;
    if (end < 0) end += shape.rank;
    if (end > shape.rank) end = shape.rank;
    if (start >= end) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "a shape without dimensions");
    for (int i = 0; i < shape.rank; ++i) dims[i] = shape.dims[i];
    return bind_ints(lowering, dims + start, (int)(end - start), 1);
}

nac_status nac_lower_Size(nac_lowering *lowering) {
    int x;
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    const int64_t count = (int64_t)nac_elements(&lowering->graph->values[x].shape);
    return bind_ints(lowering, &count, 1, 0);
}
