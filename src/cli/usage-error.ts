import type { Command, CommanderError } from 'commander'
import { PikoError } from '../errors.ts'

/** Converts commander's error about the command line to one of Piko's errors. */
export function usageError(error: CommanderError, program: Command, args: readonly string[]): PikoError {
  const command = commandOf(program, args)
  const isIncomplete = error.code === 'commander.help'
  const problem = isIncomplete
    ? `${command} needs a subcommand`
    : error.message.replace(/^error: /, '').replaceAll('\n', ' ')
  return new PikoError('USAGE', `${problem}; see: ${command} --help`, { details: { command } })
}

/** Returns the words of the command line that name the command, such as `piko migrate up`. */
function commandOf(program: Command, args: readonly string[]): string {
  const path = [program.name()]
  let command = program
  for (const arg of args) {
    const sub = command.commands.find((candidate) => candidate.name() === arg)
    if (!sub) continue
    command = sub
    path.push(arg)
  }
  return path.join(' ')
}
