import { Argument, type Command } from 'commander'
import { examples } from './global-options.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const

/**
 * Adds `completion`, which prints a script for the shell, and the hidden command `complete`, which that script calls. Both load their
 * library only when they run.
 *
 * @param create creates the command line whose commands and options are completed
 */
export function addCompletion(program: Command, create: () => Command): void {
  program
    .command('completion')
    .summary('print a script that completes commands in your shell')
    .description('Prints a script that completes the commands and options of piko in your shell.')
    .addArgument(new Argument('<shell>', 'your shell').choices(SHELLS))
    .addHelpText(
      'after',
      examples([
        'source <(piko completion bash)',
        'source <(piko completion zsh)',
        'piko completion fish > ~/.config/fish/completions/piko.fish',
      ]),
    )
    .action(async (shell: (typeof SHELLS)[number]) => {
      const { default: tab } = await import('@bomb.sh/tab')
      tab.setup('piko', 'piko', shell)
    })
  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .description('Prints the words that can follow. The script of piko completion calls this command.')
    .addHelpText('after', examples([`piko complete -- runs ''`]))
    .action(async (words: string[]) => {
      const { default: completionOf } = await import('@bomb.sh/tab/commander')
      completionOf(create(), { completionCommandName: 'completion-script' }).parse(words)
    })
}
