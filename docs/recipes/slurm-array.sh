#!/bin/bash
#SBATCH --job-name=ghostbench
#SBATCH --array=1-4
#SBATCH --cpus-per-task=1
#SBATCH --output=%x-%a.log
# One share of the clips in each task of the array. Submit it as `sbatch slurm-array.sh`, with what `bench run` is to be
# given after the script's name; how many shares there are is the array's size. When all tasks have ended, put them together:
#     bench merge shards/part-* --out results --run-id whole
# A task that was ended (by its time limit, by a node's failure) goes on where it was when it is submitted again with the same
# words; by itself as `SHARDS=4 sbatch --array=3 slurm-array.sh ...`, where 4 is the size of the array that it was in.
set -euo pipefail
run="part-$SLURM_ARRAY_TASK_ID"
of="${SHARDS:-$SLURM_ARRAY_TASK_COUNT}"
resume=()
if [ -e "shards/$run/manifest.json" ]; then resume=(--resume); fi
exec srun --ntasks=1 bench run "$@" --shard "$SLURM_ARRAY_TASK_ID/$of" \
    --out shards --run-id "$run" "${resume[@]}" --quiet
