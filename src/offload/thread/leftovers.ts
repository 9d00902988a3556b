/**
 * Resources that are unfinished work of a call: timers, and single operations on files, the network and in the thread pool of the process.
 * Sockets and ports are not, because a module may keep them between calls.
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
 * Notices the work that a call leaves behind in its thread. What a module starts while it loads, and what does not keep a process alive
 * (`unref`), is not of a call.
 */
export class Leftovers {
  #before = new Map<string, number>()

  /** Remembers what is active now. Called before a call, after its module is loaded. */
  begin(): void {
    this.#before = count()
  }

  /** The types of resources of which there are more than before. */
  find(): string[] {
    return [...count()].filter(([type, now]) => now > (this.#before.get(type) ?? 0)).map(([type]) => type)
  }

  /** Calls `whenClean` once nothing is left. */
  watch(whenClean: () => void): void {
    // An unref'd timer is no resource of its own.
    const timer = setInterval(() => {
      if (this.find().length > 0) return
      clearInterval(timer)
      whenClean()
    }, LOOK_EVERY_MS).unref()
  }
}
