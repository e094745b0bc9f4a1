/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Training, evaluating and using models: everything of train/.
 */
#ifndef DEQ_TRAIN_H
#define DEQ_TRAIN_H

#include <deq/train/config.h>
#include <deq/train/inspect.h>
#include <deq/train/predict.h>
#include <deq/train/run.h>

#endif
