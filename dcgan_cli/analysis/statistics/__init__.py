"""How sure a value is: one rule for each kind of statistic, chosen by the name of its function.

Every rule says what varies: `unit` names what was drawn independently (images, maps, seeds), and n
counts those. `kind` of the Estimate puts both into words. Where values say nothing of their own
spread (one value, or measurements that are all equal) there is no interval, and `kind` says so.
The coverage of each rule at the n that the commands use is simulated in tests/test_coverage.py: 93
% or more of the intervals of nominal 95 % hold the truth, of normal, skewed, long-tailed and tied
values.

    mean             measurements without bounds: Student's t
    mean_above       measurements that are 0 or more: t on the logarithm
    mean_within      measurements between bounds, also many at a bound: score interval, effective n
    share            yes or no: Wilson's score interval
    median           order statistics, without any assumption
    correlation      Fisher's z, jackknife, as far as long tails reach
    ratio            of two positive means: jackknife, t on the logarithm
    explained        R²: as correlation, on the logarithm of 1 − R²
    ratio_within     of two sums whose ratio has bounds: as mean_within
    ratio_of_shares  of two shares of the same images
    balanced         mean of two shares of different images
    more_often       how often one of two groups is lower: DeLong's spread, score interval
    leave_one_out    of groups of images (KID): jackknife, normal
    another          where one more draw falls: prediction interval
    chain_mean, chain_share   values that share an end with their neighbors
    two_way, two_way_difference   draws of labels × test images: a t of each, weighted
    over_splits      repeated random splits of one set of images
"""

# pyright: reportUnusedImport=false
from dcgan_cli.analysis.statistics.paired import (
    correlation,
    explained,
    mean_above,
    ratio,
    ratio_of_shares,
    ratio_within,
)
from dcgan_cli.analysis.statistics.repeated import over_splits, two_way, two_way_difference
from dcgan_cli.analysis.statistics.single import (
    another,
    balanced,
    chain_mean,
    chain_share,
    from_influence,
    leave_one_out,
    mean,
    mean_within,
    median,
    more_often,
    scaled,
    share,
)
