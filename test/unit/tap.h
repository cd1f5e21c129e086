/*
 * tap.h
 *		What a test program says, in the Test Anything Protocol.
 *
 * A program calls tap_ok() for every fact and returns tap_finish() from
 * main(): the plan is printed last, and the exit status is 1 if anything
 * failed, or if nothing was tested.
 */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>

/* One fact; the name says what holds when it passes.  Returns `passed`. */
extern bool tap_ok(bool passed, const char *name, ...)
			__attribute__((format(printf, 2, 3)));

/* A fact that cannot be tested here, and why. */
extern void tap_skip(const char *reason, ...)
			__attribute__((format(printf, 1, 2)));

/* A remark for whoever reads the output, on the error stream. */
extern void tap_note(const char *remark, ...)
			__attribute__((format(printf, 1, 2)));

extern int	tap_finish(void);

#endif							/* TAP_H */
