#include "pace.h"

#include <algorithm>
#include <cmath>

namespace steepest {
namespace {

// Seconds. A spell begins with new threads, which takes some 50 microseconds; a time slice of the system is
// three milliseconds or more, and a window should see several.
// Seconds. Each spell starts threads, which takes some 50 microseconds; a time slice of the system is three
// milliseconds or more, and a window should see several.
constexpr double kSpell = 0.02, kTrialSpell = 0.003;
constexpr double kWindow = 0.02;
constexpr double kShortest = 0.006;  // of a trial that is broken off
constexpr double kFirstPause = 0.05, kLongestPause = 1, kPauseGrowth = 4;
constexpr double kSoonest = 0.2;  // from a defeat to a trial because something has changed
constexpr double kProven = 1;     // after so long the settled number's pause is the first again
// A pace, by that of the settled number.
constexpr double kClearlySlower = 1.25, kWins = 0.97;
constexpr double kDegraded = 1.25;  // by its own best: something has changed

}  // namespace

Pace::Pace(int threads, bool fixed)
    : threads_(threads), fixed_(fixed || threads == 1), rivals_(threads + 1, Rival{kFirstPause, -kSoonest, 0}) {}

int64_t Pace::steps() const {
  if (fixed_) return INT64_MAX;
  if (step_ == 0) return 1;
  return std::max<int64_t>(1, std::llround((trial_ ? kTrialSpell : kSpell) / step_));
}

void Pace::took(int64_t steps, double seconds) {
  if (fixed_) return;
  clock_ += seconds;
  step_ = seconds / double(steps);
  steps_ += steps;
  seconds_ += seconds;
  const double pace = seconds_ / double(steps_);
  if (trial_) {
    if (seconds_ >= kWindow || (seconds_ >= kShortest && pace > kClearlySlower * pace_)) judge(pace);
  } else if (seconds_ >= kWindow) {
    settle(pace);
    open_window();
    open_trial();
  }
}

// What follows from a window of the settled number.
void Pace::settle(double pace) {
  pace_ = pace;
  if (clock_ - since_ > kProven) rivals_[threads_].pause = kFirstPause;
  if (best_ != 0 && pace > kDegraded * best_) {
    for (Rival& rival : rivals_) rival.due = std::min(rival.due, rival.lost + kSoonest);
    best_ = pace;
  }
  best_ = best_ == 0 ? pace : std::min(best_, pace);
}

void Pace::judge(double pace) {
  const bool wins = pace < kWins * pace_;
  Rival& loser = rivals_[wins ? threads_ : trial_];
  loser.lost = clock_;
  if (wins) {  // perhaps by chance: the one that it takes the place of is tried again soon
    loser.due = clock_ + kFirstPause;
    threads_ = trial_;
    since_ = clock_;
    pace_ = best_ = pace;
  } else {
    loser.due = clock_ + std::max(loser.pause, 10 * seconds_);
    loser.pause = std::min(kPauseGrowth * loser.pause, kLongestPause);
  }
  trial_ = 0;
  open_window();
}

// Half and twice first: of many processors one is little.
void Pace::open_trial() {
  const int most = int(rivals_.size()) - 1;
  for (const int candidate : {threads_ / 2, 2 * threads_, threads_ - 1, threads_ + 1}) {
    if (candidate < 1 || candidate > most || rivals_[candidate].due > clock_) continue;
    trial_ = candidate;
    return;
  }
}

void Pace::open_window() {
  steps_ = 0;
  seconds_ = 0;
}

}  // namespace steepest
