#!/usr/bin/env node
// This file must run on Node 18 up to the import of main.ts, so that an old Node shows a clear error instead of a syntax error.
import { exitCodeOf } from './process/exit-code.ts'
import { nodeTooOld } from '../node-version.ts'
import { printError } from './output/print-error.ts'

const args = process.argv.slice(2)
const tooOld = nodeTooOld(process.versions.node)
if (tooOld) {
  printError(tooOld, { json: args.includes('--json') })
  process.exitCode = exitCodeOf(tooOld)
} else {
  const { enableCompileCache } = await import('node:module')
  // Without this cache, a short command spends half of its time on compiling. NODE_DISABLE_COMPILE_CACHE=1 turns the cache off.
  enableCompileCache()
  const { main } = await import('./main.ts')
  await main(args)
}
