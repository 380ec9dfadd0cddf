/** Light, dark, or as the system has it; the choice is kept in this browser. */
import { byId } from './dom.ts';

const THEMES = ['system', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const KEY = 'floe-theme';
const LABELS: Record<Theme, string> = { system: '◐ System', light: '☀ Light', dark: '☾ Dark' };

export function installTheme(): void {
  const toggle = byId('theme', HTMLButtonElement);
  let theme = remembered();
  const apply = (): void => {
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    toggle.textContent = LABELS[theme];
    toggle.setAttribute('aria-label', `Colours: ${theme}. Change.`);
  };
  toggle.addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
    remember(theme);
    apply();
  });
  apply();
}

// Storage may be forbidden (a private window, a policy); the page then starts as the system has it.
function remembered(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === kept) ?? 'system';
  } catch {
    return 'system';
  }
}

function remember(theme: Theme): void {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Forgotten with the page.
  }
}
