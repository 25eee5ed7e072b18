"""The playground: small trainings of the real engine that a page moves step by step."""

from steepest.board.playground.playground import Playground as Playground
