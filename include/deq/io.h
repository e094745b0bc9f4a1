/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Files of weights and data, one header a format.
 *
 * Readers give all that a file holds or nothing.  They trust no file: damaged or hostile ones give an
 * error that names the file and the place, and nothing in a file is ever executed.  Writers replace a
 * file at once: a reader sees the old contents or the new.
 */
#ifndef DEQ_IO_H
#define DEQ_IO_H

#include <deq/io/archive.h>
#include <deq/io/cifar.h>
#include <deq/io/csv.h>
#include <deq/io/idx.h>
#include <deq/io/image.h>
#include <deq/io/npy.h>
#include <deq/io/pytorch.h>
#include <deq/io/safetensors.h>
#include <deq/io/svmlight.h>
#include <deq/io/tensorboard.h>

#endif
