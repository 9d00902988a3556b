/**
 * Types of resources that mean unfinished work: timers, and single operations on files, on the network and in Node's thread pool. Sockets
 * and ports are not included, because a module may keep them open between calls.
 */
const WORK = /^(Timeout|Immediate)$|Req|ConnectWrap$|^FileHandleClose/

const LOOK_EVERY_MS = 5

function count(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const type of process.getActiveResourcesInfo())
    if (WORK.test(type)) counts.set(type, (counts.get(type) ?? 0) + 1)
  return counts
}

/**
 * Finds unfinished work that a call leaves in its thread. Ignores work that a module starts when it is loaded, and work that does not keep
 * a process alive (`unref`).
 */
export class Leftovers {
  #before = new Map<string, number>()

  /** Stores which resources are active now. Called before a call, when its module is loaded. */
  begin(): void {
    this.#before = count()
  }

  /** Returns the types of resources with more instances than before the call. */
  find(): string[] {
    return [...count()].filter(([type, now]) => now > (this.#before.get(type) ?? 0)).map(([type]) => type)
  }

  /** Calls `whenClean` when there is no unfinished work. */
  watch(whenClean: () => void): void {
    // This timer is unref'd, so it is not counted as work.
    const timer = setInterval(() => {
      if (this.find().length > 0) return
      clearInterval(timer)
      whenClean()
    }, LOOK_EVERY_MS).unref()
  }
}
