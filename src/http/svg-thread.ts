// The thread that svg-pictures.ts starts. In the main thread, Graphviz would block the event loop.
import { parentPort, workerData } from 'node:worker_threads'
import { isPikoError } from '../errors.ts'
import { toSvg } from '../service/graph/svg.ts'

/** The message that the thread sends. An error is sent as data, because a thrown error would lose its code. */
export type Drawn = { readonly svg: string } | { readonly missing: string }

let drawn: Drawn
try {
  drawn = { svg: await toSvg(workerData as string) }
} catch (error) {
  if (!isPikoError(error, 'PACKAGE_MISSING')) throw error
  drawn = { missing: error.message }
}
parentPort?.postMessage(drawn)
