import { CommanderError } from 'commander'
import { toError } from '../errors.ts'
import { exitCodeOf } from './process/exit-code.ts'
import { exitGuard } from './process/exit-guard.ts'
import { leave } from './process/leave.ts'
import { printError } from './output/print-error.ts'
import { commandOutput } from './output/command-output.ts'
import { createProgram } from './program.ts'
import { outliveStandardError } from '../say.ts'
import { signalExitCode } from '../service/process-signals.ts'
import { InterruptedError } from './process/stop-signals.ts'
import { watched, watchOf } from './process/watched.ts'
import { usageError } from './usage-error.ts'

/** Runs one command and sets the exit code. Normally, the process then ends without an explicit exit. */
export async function main(args: readonly string[]): Promise<void> {
  outliveStandardError()
  commandOutput.guard()
  exitGuard.begin()
  const code = commandOutput.codeOf(await execute(args))
  exitGuard.finish(code)
  process.exitCode = code
  leave()
}

async function execute(args: readonly string[]): Promise<number> {
  const json = args.includes('--json')
  try {
    const watch = watchOf(args)
    if (watch) return await watched(watch, execute)
  } catch (thrown) {
    const error = toError(thrown)
    printError(error, { json })
    return exitCodeOf(error)
  }
  const program = createProgram({ json, first: args[0] })
  try {
    await program.parseAsync(args, { from: 'user' })
    return 0
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0
    const error = thrown instanceof CommanderError ? usageError(thrown, program, args) : toError(thrown)
    printError(error, { json })
    return error instanceof InterruptedError ? signalExitCode(error.signal) : exitCodeOf(error)
  }
}
