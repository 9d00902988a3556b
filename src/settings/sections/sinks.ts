import { duration, filePath } from '../setting-types.ts'

/** The rows that sinks keep while their targets are down or refuse rows. */
export const sinks = {
  /** The folder of spilled batches, relative to the working directory. */
  spillDir: filePath({
    key: 'spill_dir',
    default: '.piko/spill',
    help: 'Folder for batches of sinks with spill while their targets are down, relative to the working directory. It must survive restarts.',
  }),
  /** How long dead letters are kept; 0: forever. */
  keepDeadMs: duration({
    key: 'keep_dead',
    default: '90d',
    min: '0s',
    max: '3650d',
    help: 'Rows that the targets of sinks have refused are deleted after this time; 0s: never.',
  }),
}
