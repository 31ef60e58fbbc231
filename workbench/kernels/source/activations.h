/* Activations in 8 bits, a scale a row; what is far larger than the rest is set apart, to be multiplied as floats. */
#pragma once
#include <math.h>
#include <stdlib.h>
#include "vectors.h"

#define OUTLIER 6.0f /* activations beyond it are multiplied as floats (LLM.int8, Dettmers et al., 2022) */

#define SMALLEST_SIZE 1e-30f /* rows below it are 0: their scale's inverse would be too large */

#define LINE 64      /* bytes that caches move together; loads across two lines cost twice */
#define APART (33 * LINE)

typedef struct { int32_t column; float value; } outlier;

/* Activations (rows, width) in 8 bits; the columns beyond the layer's are 0. */
typedef struct {
    long rows, width;
    long stride;           /* from row to row: rows begin in different sets of the nearest cache */
    int8_t *values;
    float *scales;
    int32_t *totals;       /* of a row's 8-bit values */
    outlier *outliers;     /* (rows, most_outliers) */
    int32_t *outlier_counts;
    long most_outliers;
} activations;

/* The bits of |value|, which order sizes as whole numbers; NaN is the largest. */
INLINE int32_t size_of(float value) {
    int32_t bits;
    memcpy(&bits, &value, 4);
    return bits & 0x7fffffff;
}

/* Moves the values beyond OUTLIER out of a row; where they are very many, only the largest. */
static void set_outliers_apart(float *values, long columns, long row, const activations *to) {
    outlier *outliers = to->outliers + row * to->most_outliers;
    float limit = OUTLIER;
    long found = 0;
    for (;; limit *= 2) {
        found = 0;
        for (long i = 0; i < columns; i++) found += fabsf(values[i]) > limit;
        if (found <= to->most_outliers) break;
    }
    long at = 0;
    for (long i = 0; found && i < columns; i++) {
        if (!(fabsf(values[i]) > limit)) continue;
        outliers[at++] = (outlier){(int32_t)i, values[i]};
        values[i] = 0;
    }
    to->outlier_counts[row] = (int32_t)at;
}

/* One row in 8 bits; a NaN or an infinity left in it becomes its scale, and so all of its results are NaN. */
static void quantise_row(int type, const void *from, long columns, long row, float *values, const activations *to) {
    widen_row(type, (const char *)from + row * columns * element_bytes(type), columns, values);
    set_outliers_apart(values, columns, row, to);
    int32_t size = 0, sum = 0;
    for (long i = 0; i < columns; i++) {
        int32_t one = size_of(values[i]);
        size = one > size ? one : size;
    }
    float largest;
    memcpy(&largest, &size, 4);
    float inverse = largest > SMALLEST_SIZE && largest < INFINITY ? 127.0f / largest : 0;
    int8_t *quantised = to->values + row * to->stride;
    if (inverse == 0) memset(quantised, 0, (size_t)columns);
    else for (long i = 0; i < columns; i++) {
        int32_t value = (int32_t)rintf(values[i] * inverse);
        value = value > 127 ? 127 : value < -127 ? -127 : value;
        quantised[i] = (int8_t)value;
        sum += value;
    }
    memset(quantised + columns, 0, (size_t)(to->width - columns));
    to->totals[row] = sum;
    to->scales[row] = largest / 127.0f;
}

/* Fills `to` from (rows, columns); `forget` frees it, whether this fails or not. Returns 1 where memory is short. */
static int quantise_rows(int type, const void *from, long rows, long columns, long width, activations *to,
                         int threads) {
    *to = (activations){.rows = rows, .width = width, .most_outliers = columns / 16 + 64};
    to->stride = (width + LINE - 1) / LINE * LINE + APART;
    to->values = aligned_alloc(LINE, (size_t)(rows * to->stride));
    to->scales = malloc((size_t)rows * sizeof(float));
    to->totals = malloc((size_t)rows * sizeof(int32_t));
    to->outliers = malloc((size_t)(rows * to->most_outliers) * sizeof(outlier));
    to->outlier_counts = malloc((size_t)rows * sizeof(int32_t));
    int failed = !to->values || !to->scales || !to->totals || !to->outliers || !to->outlier_counts;
    if (failed) return 1;
#pragma omp parallel num_threads(threads) if (rows > 1) reduction(| : failed)
    {
        float *values = malloc((size_t)columns * sizeof(float));
        failed = !values;
#pragma omp for
        for (long row = 0; row < rows; row++)
            if (values) quantise_row(type, from, columns, row, values, to);
        free(values);
    }
    return failed;
}

static void forget(activations *x) {
    free(x->values), free(x->scales), free(x->totals), free(x->outliers), free(x->outlier_counts);
}
