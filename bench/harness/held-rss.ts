import { setTimeout as sleep } from 'node:timers/promises'

/** The resident memory of this process in bytes, after garbage collection. Needs `--expose-gc`. */
export async function heldRss(): Promise<number> {
  for (let turn = 0; turn < 3; turn++) {
    gc!()
    await sleep(100)
  }
  return process.memoryUsage.rss()
}
