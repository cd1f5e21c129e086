/*
 * metric.h
 *		What distances there are.
 */
#ifndef EK_METRIC_H
#define EK_METRIC_H

/*
 * Those that an index serves are numbered as the strategies of its operator
 * class, which catalogs hold, and so stay as they are; they come first.
 */
typedef enum ek_metric
{
	EK_METRIC_COSINE = 1,
	EK_METRIC_INNER_PRODUCT,
	EK_METRIC_L2,
	EK_METRIC_L1
} ek_metric;

#define EK_METRIC_COUNT			4
#define EK_INDEXED_METRIC_COUNT	3

#endif							/* EK_METRIC_H */
