// How many threads a training takes, found while it runs.
//
// No bit depends on the number of threads, so it may change between any two steps. Where other processes
// want the processors, too, a second thread makes a training slower than none: threads meet several times a
// step, and each meeting waits for the one that is not running. So a training is taken in spells of a few
// milliseconds, and what decides is the time of a step.
//
// State. `threads_` is settled: the quickest number that is known. In a trial another number is measured,
// beside `pace_`, the time of a step that the settled number took just before. A trial ends early once it is
// clearly slower. A number that lost is tried again after a pause that grows fourfold each time it loses, so
// that trials cost little where nothing changes; where the settled number becomes slower than it was, all
// others may be tried again at once.

#pragma once

#include <cstdint>
#include <vector>

namespace steepest {

class Pace {
 public:
  // threads: how many it may take, and begins with. fixed: takes them all the time.
  Pace(int threads, bool fixed);

  // What the next spell takes.
  int threads() const { return trial_ ? trial_ : threads_; }
  int64_t steps() const;

  // What it took.
  void took(int64_t steps, double seconds);

 private:
  struct Rival {
    double pause;      // seconds from its next defeat to the trial after it
    double lost, due;  // when it lost last, and when it may be tried, by clock_
  };

  void settle(double pace);
  void judge(double pace);
  void open_trial();
  void open_window();

  int threads_, trial_ = 0;  // 0: no trial
  const bool fixed_;
  std::vector<Rival> rivals_;   // of each number of threads; that of 0 is not used
  double clock_ = 0;            // seconds of training so far
  double since_ = 0;            // when the settled number was settled
  double pace_ = 0, best_ = 0;  // seconds of a step by the settled number: lately, and at its best; 0: unknown
  double step_ = 0;             // seconds of a step in the last spell; 0: unknown
  // Of the window that is being measured.
  int64_t steps_ = 0;
  double seconds_ = 0;
};

}  // namespace steepest
