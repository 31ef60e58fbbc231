/* Products with 8-bit weights: activations in 8 bits with a scale a row, sums in exact integers.

   A row's result is made of integers that have no order of summing, and of the same few float operations in the same
   order: it depends on that row alone, not on how many rows are computed together, or on the machine. */
#include <math.h>
#include <stdlib.h>
#include "vectors.h"

#define OUTLIER 6.0f      /* activations beyond it are multiplied as floats (LLM.int8, Dettmers et al., 2022) */
#define WEIGHT_ROWS 4     /* of a tile: each load of activations serves so many weight rows */
#define MOST_ROWS 6       /* of a tile: 4 x 6 sums and what they are made of fill the 32 registers */
#define BLOCK_ROWS 32     /* weight rows that a thread takes at a time */
#define CHUNK 4096        /* columns of a tile of many rows: it stays in the nearest cache */
#define FEW_ROWS 8        /* so few rows of activations need no chunks */

typedef struct { int32_t column; float value; } outlier;

/* Activations (rows, columns) in 8 bits. */
typedef struct {
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

/* One row in 8 bits; a NaN in it becomes its scale, and so all of its results. */
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
    float inverse = largest > 0 ? 127.0f / largest : 0;
    int8_t *quantised = to->values + row * columns;
    for (long i = 0; i < columns; i++) {
        int32_t value = (int32_t)rintf(values[i] * inverse);
        value = value > 127 ? 127 : value < -127 ? -127 : value;
        quantised[i] = (int8_t)value;
        sum += value;
    }
    to->totals[row] = sum;
    to->scales[row] = largest / 127.0f;
}

/* Sums of WEIGHT_ROWS x rows products over columns, added to what stands in `into` (rows, BLOCK_ROWS). */
INLINE void tile(int rows, const int8_t *weights, long stride, const int8_t *values, long width, long columns,
                 int32_t *into, int is_first) {
    sums found[MOST_ROWS][WEIGHT_ROWS];
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++) found[m][n] = no_sums();
    long whole = columns / BYTES * BYTES;
    for (long k = 0; k < whole; k += BYTES) {
        bytes part[WEIGHT_ROWS];
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++) part[n] = offset(load_bytes(weights + n * stride + k));
#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            bytes activation = load_bytes(values + m * width + k);
#pragma GCC unroll 4
            for (int n = 0; n < WEIGHT_ROWS; n++) found[m][n] = dot(found[m][n], part[n], activation);
        }
    }
    if (whole < columns) {
        bytes part[WEIGHT_ROWS];
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++)
            part[n] = offset(load_some_bytes(weights + n * stride + whole, columns - whole));
#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            bytes activation = load_some_bytes(values + m * width + whole, columns - whole);
#pragma GCC unroll 4
            for (int n = 0; n < WEIGHT_ROWS; n++) found[m][n] = dot(found[m][n], part[n], activation);
        }
    }
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++) {
        int32_t four[WEIGHT_ROWS];
        total_four(found[m][0], found[m][1], found[m][2], found[m][3], four);
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++)
            into[m * BLOCK_ROWS + n] = is_first ? four[n] : into[m * BLOCK_ROWS + n] + four[n];
    }
}

static void some_tile(int rows, const int8_t *weights, long stride, const int8_t *values, long width, long columns,
                      int32_t *into, int is_first) {
    switch (rows) {
    case 1: tile(1, weights, stride, values, width, columns, into, is_first); break;
    case 2: tile(2, weights, stride, values, width, columns, into, is_first); break;
    case 3: tile(3, weights, stride, values, width, columns, into, is_first); break;
    case 4: tile(4, weights, stride, values, width, columns, into, is_first); break;
    case 5: tile(5, weights, stride, values, width, columns, into, is_first); break;
    default: tile(6, weights, stride, values, width, columns, into, is_first); break;
    }
}

/* The weight rows that fill no tile. */
static void last_rows(const int8_t *weights, long weight_rows, const activations *x, long rows, long columns,
                      int32_t *into) {
    for (long n = weight_rows / WEIGHT_ROWS * WEIGHT_ROWS; n < weight_rows; n++)
        for (long m = 0; m < rows; m++) {
            int32_t sum = 0;
            for (long k = 0; k < columns; k++) sum += (int32_t)weights[n * columns + k] * x->values[m * columns + k];
            into[m * BLOCK_ROWS + n] = sum + OFFSET * x->totals[m];
        }
}

/* Integer sums of one block of at most BLOCK_ROWS weight rows with all activations: into (rows, BLOCK_ROWS). */
static void block(const int8_t *weights, long weight_rows, const activations *x, long rows, long columns,
                  int32_t *into) {
    long chunk = rows <= FEW_ROWS ? columns : CHUNK;
    long tiles = (rows + MOST_ROWS - 1) / MOST_ROWS;
    for (long k = 0; k < columns; k += chunk) {
        long width = columns - k < chunk ? columns - k : chunk;
        for (long t = 0; t < tiles; t++) {
            long first = rows * t / tiles, count = rows * (t + 1) / tiles - first;
            for (long n = 0; n + WEIGHT_ROWS <= weight_rows; n += WEIGHT_ROWS)
                some_tile((int)count, weights + n * columns + k, columns, x->values + first * columns + k, columns,
                          width, into + first * BLOCK_ROWS + n, k == 0);
        }
    }
    last_rows(weights, weight_rows, x, rows, columns, into);
}

/* From integer sums to results: one block's columns of (rows, all_rows). */
static void finish(const int32_t *sums_, const int8_t *weights, const float *weight_scales, const void *bias,
                   int type, long weight_rows, const activations *x, long rows, long columns, void *to, long all_rows,
                   long first_row) {
    for (long m = 0; m < rows; m++) {
        const outlier *outliers = x->outliers + m * x->most_outliers;
        for (long n = 0; n < weight_rows; n++) {
            float value = (float)(sums_[m * BLOCK_ROWS + n] - OFFSET * x->totals[m]) * x->scales[m];
            for (int32_t i = 0; i < x->outlier_counts[m]; i++)
                value += outliers[i].value * (float)weights[n * columns + outliers[i].column];
            value *= weight_scales[n] / 127.0f;
            if (bias) value += widen_one(type, (const char *)bias + (first_row + n) * element_bytes(type));
            store_one(type, to, m * all_rows + first_row + n, value);
        }
    }
}

/* to (rows, weight_rows) = from (rows, columns) x weights (weight_rows, columns)^T * scales / 127 + bias.

   `type` is that of from, bias and to: FLOAT32 or BFLOAT16. Returns 0, or 1 where memory is short. */
int int8_linear(int type, const void *from, long rows, long columns, const int8_t *weights, const float *weight_scales,
                const void *bias, long weight_rows, void *to, int threads) {
    activations x = {.most_outliers = columns / 16 + 64};
    x.values = malloc((size_t)(rows * columns));
    x.scales = malloc((size_t)rows * sizeof(float));
    x.totals = malloc((size_t)rows * sizeof(int32_t));
    x.outliers = malloc((size_t)(rows * x.most_outliers) * sizeof(outlier));
    x.outlier_counts = malloc((size_t)rows * sizeof(int32_t));
    int failed = !x.values || !x.scales || !x.totals || !x.outliers || !x.outlier_counts;
    if (!failed) {
#pragma omp parallel num_threads(threads) if (rows > 1) reduction(| : failed)
        {
            float *values = malloc((size_t)columns * sizeof(float));
            failed = !values;
#pragma omp for
            for (long row = 0; row < rows; row++)
                if (values) quantise_row(type, from, columns, row, values, &x);
            free(values);
        }
    }
    if (!failed) {
#pragma omp parallel num_threads(threads) reduction(| : failed)
        {
            int32_t *into = malloc((size_t)(rows * BLOCK_ROWS) * sizeof(int32_t));
            failed = !into;
#pragma omp for schedule(dynamic)
            for (long n = 0; n < weight_rows; n += BLOCK_ROWS) {
                long count = weight_rows - n < BLOCK_ROWS ? weight_rows - n : BLOCK_ROWS;
                if (!into) continue;
                block(weights + n * columns, count, &x, rows, columns, into);
                finish(into, weights + n * columns, weight_scales + n, bias, type, count, &x, rows, columns, to,
                       weight_rows, n);
            }
            free(into);
        }
    }
    free(x.values), free(x.scales), free(x.totals), free(x.outliers), free(x.outlier_counts);
    return failed;
}

/* What the kernels were compiled for. */
const char *instructions(void) { return INSTRUCTIONS; }
