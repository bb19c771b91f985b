/* count.h: how many values of each input reach some marks, for what a job tells of its inputs. */
#ifndef INSTMODEL_COUNT_H
#define INSTMODEL_COUNT_H

#define IM_COUNT_COLUMNS 16
#define IM_COUNT_ROWS 256

/* counts[k][j] += rows i with x[i][j] >= marks[k][j]; NaN reaches nothing, and nothing reaches NaN.
 * Marks of a column are behind each other, and those that it does not have, NaN, behind them all.
 *
 * A tile of rows and columns is copied to where it stays in the first cache, with the columns that
 * are missing at the end filled up, so that the loop over its columns has a fixed length, of which
 * the compiler makes vectors. */
static void count_at_least(const float *x /* IN (n, size) */,
                           const float *marks /* IN (count, size) */,
                           int64_t *counts /* INOUT (count, size) */, int64_t n, int64_t size,
                           int64_t count)
{
    float tile[IM_COUNT_ROWS][IM_COUNT_COLUMNS] = {{0}};
    for (int64_t j = 0; j < size; j += IM_COUNT_COLUMNS) {
        const int columns = size - j < IM_COUNT_COLUMNS ? (int)(size - j) : IM_COUNT_COLUMNS;
        for (int64_t i = 0; i < n; i += IM_COUNT_ROWS) {
            const int rows = n - i < IM_COUNT_ROWS ? (int)(n - i) : IM_COUNT_ROWS;
            for (int row = 0; row < rows; row++) {
                memcpy(tile[row], x + (i + row) * size + j, (size_t)columns * sizeof(float));
            }
            for (int64_t k = 0; k < count; k++) {
                float mark[IM_COUNT_COLUMNS] = {0};
                int32_t reached[IM_COUNT_COLUMNS] = {0};
                int there = 0;
                memcpy(mark, marks + k * size + j, (size_t)columns * sizeof(float));
                for (int column = 0; column < columns; column++) {
                    there |= mark[column] == mark[column];
                }
                if (!there) {
                    break;
                }
                for (int row = 0; row < rows; row++) {
                    for (int column = 0; column < IM_COUNT_COLUMNS; column++) {
                        reached[column] += tile[row][column] >= mark[column];
                    }
                }
                for (int column = 0; column < columns; column++) {
                    counts[k * size + j + column] += reached[column];
                }
            }
        }
    }
}

#endif
