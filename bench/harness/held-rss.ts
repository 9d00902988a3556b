import { setTimeout as sleep } from 'node:timers/promises'

/** Bytes of this process in memory, without what it no longer needs; takes `--expose-gc`. */
export async function heldRss(): Promise<number> {
  for (let turn = 0; turn < 3; turn++) {
    gc!()
    await sleep(100)
  }
  return process.memoryUsage.rss()
}
