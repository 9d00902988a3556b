import type { NodeLoad } from '../../store/nodes/node-facts.ts'

/** How often the load is measured. The load is rounded, so an idle process always reports the same figures. */
const INTERVAL_MS = 15_000
const CPU_STEP = 0.1
const MEMORY_STEP = 32 * 1024 * 1024

/** Measures the processor time and the memory of this process. */
export class ProcessLoad {
  #at = performance.now()
  #cpu = process.cpuUsage()
  #load: NodeLoad = { cpu: 0, memory: memoryNow() }

  get now(): NodeLoad {
    const elapsedMs = performance.now() - this.#at
    if (elapsedMs < INTERVAL_MS) return this.#load
    const { user, system } = process.cpuUsage(this.#cpu)
    const used = (user + system) / 1_000 / elapsedMs
    this.#load = { cpu: Math.round(Math.round(used / CPU_STEP) * CPU_STEP * 10) / 10, memory: memoryNow() }
    this.#at = performance.now()
    this.#cpu = process.cpuUsage()
    return this.#load
  }
}

function memoryNow(): number {
  return Math.round(process.memoryUsage.rss() / MEMORY_STEP) * MEMORY_STEP
}
