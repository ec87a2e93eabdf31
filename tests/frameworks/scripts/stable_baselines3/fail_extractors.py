"""An extractor whose result is detached, in two agents that one line trains, one after the other."""

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

torch.manual_seed(0)


class Walk(gym.Env):
    observation_space = spaces.Box(-9.0, 9.0, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.uniform(-2, 2, 2).astype(np.float32), 0
        return self.place, {}

    def step(self, action):
        self.steps += 1
        self.place = np.clip(self.place + 0.1 * (action * 2 - 1), -9, 9).astype(np.float32)
        return self.place, -float(np.abs(self.place).sum()), self.steps >= 20, False, {}


class Extractor(BaseFeaturesExtractor):
    def __init__(self, observation_space):
        super().__init__(observation_space, features_dim=8)
        self.layer = nn.Linear(2, 8)

    def forward(self, observations):
        return self.layer(observations).tanh().detach()


how = {"features_extractor_class": Extractor, "net_arch": [8]}
first = PPO("MlpPolicy", Walk(), n_steps=16, batch_size=16, seed=0, device="cpu", policy_kwargs=how)
second = DQN(
    "MlpPolicy",
    Walk(),
    learning_starts=16,
    batch_size=8,
    buffer_size=200,
    seed=0,
    device="cpu",
    policy_kwargs=how,
)
for agent in (first, second):
    agent.learn(64)
    print(agent._n_updates)
