// The thread of svg-pictures.ts, because Graphviz computes without a pause.
import { parentPort, workerData } from 'node:worker_threads'
import { isPikoError } from '../errors.ts'
import { toSvg } from '../service/graph/svg.ts'

/** The thread's answer. A thrown error would lose its code between threads. */
export type Drawn = { readonly svg: string } | { readonly missing: string }

let drawn: Drawn
try {
  drawn = { svg: await toSvg(workerData as string) }
} catch (error) {
  if (!isPikoError(error, 'PACKAGE_MISSING')) throw error
  drawn = { missing: error.message }
}
parentPort?.postMessage(drawn)
